// Weir's SQL as CodeMirror knows it.
import { SQLDialect } from '@codemirror/lang-sql';
import { functions, keywords, types } from './words';

export const weir = SQLDialect.define({
  keywords,
  types,
  builtin: functions,
  doubleDollarQuotedStrings: true,
  operatorChars: '*+-%<>!=&|~^/:',
  identifierQuotes: '"',
});
