// SQL in colours for places that only show it: a few rules instead of a parser.
import { keywords, types } from './words';

export interface Token {
  text: string;
  kind: 'keyword' | 'string' | 'number' | 'comment' | '';
}

const words = new Set(`${keywords} ${types}`.split(/\s+/));
const lexer =
  /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*(?:'|$))|("(?:[^"]|"")*(?:"|$))|(\b\d+(?:\.\d+)?\b)|([A-Za-z_]\w*)|(\s+|.)/g;

export function highlight(sql: string): Token[] {
  const tokens: Token[] = [];
  for (const [text, comment, string, , number, word] of sql.matchAll(lexer)) {
    let kind: Token['kind'] = '';
    if (comment) kind = 'comment';
    else if (string) kind = 'string';
    else if (number) kind = 'number';
    else if (word && words.has(word.toLowerCase())) kind = 'keyword';
    const last = tokens.at(-1);
    if (last && last.kind === kind) last.text += text;
    else tokens.push({ text, kind });
  }
  return tokens;
}
