// Which kind of panel a view asks for, from its query, columns and number of rows alone.
import { isNumeric, isTime } from '../columns';
import type { Kind } from '../layout';
import type { View } from '../wire';

const grouping = /\b(group\s+by|union|unnest|values)\b/i;
const aggregates =
  /\b(count|count_star|sum|avg|mean|median|min|max|stddev\w*|var\w*|quantile\w*|approx_\w+|first|last|any_value|arg_max|arg_min)\s*\(/i;

export function kindOf(view: View): Kind {
  const bare = view.query.replace(/'(?:[^']|'')*'|--.*$|\/\*[\s\S]*?\*\//gm, ' ');
  const one_row = view.rows <= 1 && !grouping.test(bare) && (aggregates.test(bare) || view.rows === 1);
  if (one_row && !/\bover\s*\(/i.test(bare)) return 'number';
  return view.columns.some(isTime) && view.columns.some(isNumeric) ? 'chart' : 'table';
}
