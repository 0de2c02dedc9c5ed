// The SQL editor: CodeMirror, told of our dialect and our catalog.  It lives in a shadow root, where
// its styles need no exception from the page's content security policy.
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { sql, type SQLNamespace } from '@codemirror/lang-sql';
import {
  bracketMatching,
  HighlightStyle,
  indentOnInput,
  syntaxHighlighting,
} from '@codemirror/language';
import { Compartment, EditorState, Prec, StateEffect, StateField } from '@codemirror/state';
import {
  Decoration,
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
  placeholder,
  type DecorationSet,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { Catalog } from '../wire';
import { weir } from './dialect';

export interface Editor {
  text(): string;
  replace(text: string): void;
  insert(text: string): void;
  mark(position: { line: number; column: number } | null): void;
  learn(catalog: Catalog): void;
  focus(): void;
  destroy(): void;
}

export interface EditorHandlers {
  run(): void;
  change(text: string): void;
}

export function createEditor(host: HTMLElement, text: string, handlers: EditorHandlers): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  const language = new Compartment();
  const run = () => {
    handlers.run();
    return true;
  };
  const state = EditorState.create({
    doc: text,
    extensions: [
      Prec.highest(keymap.of([{ key: 'Mod-Enter', run }])),
      keymap.of([
        ...closeBracketsKeymap,
        ...defaultKeymap,
        ...historyKeymap,
        ...completionKeymap,
        // Tab indents; Escape, then Tab leaves the editor, as CodeMirror's guide asks.
        indentWithTab,
      ]),
      history(),
      lineNumbers(),
      drawSelection(),
      highlightActiveLine(),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      autocompletion({ icons: false }),
      placeholder('SELECT …'),
      language.of(sql({ dialect: weir, upperCaseKeywords: true })),
      syntaxHighlighting(colors),
      marks,
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': 'SQL', 'aria-multiline': 'true' }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) handlers.change(update.state.doc.toString());
      }),
      look,
    ],
  });
  const view = new EditorView({ state, parent: root, root });
  return {
    text: () => view.state.doc.toString(),
    replace: (next) =>
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } }),
    insert(word) {
      view.dispatch(view.state.replaceSelection(word));
      view.focus();
    },
    mark: (position) => view.dispatch({ effects: setMark.of(position && offsetOf(view, position)) }),
    learn(catalog) {
      const support = sql({ dialect: weir, upperCaseKeywords: true, schema: schemaOf(catalog) });
      view.dispatch({ effects: language.reconfigure(support) });
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

function schemaOf(catalog: Catalog): SQLNamespace {
  const sources = [
    ...catalog.streams.map((stream) => ({ ...stream, kind: 'stream' })),
    ...catalog.tables.map((table) => ({ ...table, kind: 'table' })),
    ...catalog.views.map((view) => ({ ...view, kind: 'view' })),
  ];
  return Object.fromEntries(
    sources.map(({ name, kind, columns }) => [
      name,
      {
        self: { label: name, detail: kind, type: 'class' },
        children: columns.map((column) => ({
          label: column.name,
          detail: column.type.toLowerCase(),
          type: 'property',
        })),
      },
    ]),
  );
}

// Where an error is, underlined until the text changes.
const setMark = StateEffect.define<number | null>();
const marks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(now, transaction) {
    for (const effect of transaction.effects) {
      if (!effect.is(setMark)) continue;
      if (effect.value === null) return Decoration.none;
      const { from, to } = wordAt(transaction.state, effect.value);
      return from < to ? Decoration.set(wrong.range(from, to)) : Decoration.none;
    }
    return transaction.docChanged ? Decoration.none : now;
  },
  provide: (field) => EditorView.decorations.from(field),
});
const wrong = Decoration.mark({ class: 'wrong' });

function offsetOf(view: EditorView, { line, column }: { line: number; column: number }): number {
  const { doc } = view.state;
  const at = doc.line(Math.max(1, Math.min(line, doc.lines)));
  return Math.min(at.to, at.from + Math.max(0, column - 1));
}

function wordAt(state: EditorState, position: number): { from: number; to: number } {
  const line = state.doc.lineAt(position);
  const word = state.wordAt(position);
  if (word) return word;
  return { from: Math.max(line.from, Math.min(position, line.to - 1)), to: Math.min(position + 1, line.to) };
}

const colors = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword], color: 'var(--sql-keyword)' },
  { tag: tags.typeName, color: 'var(--sql-keyword)' },
  { tag: tags.string, color: 'var(--sql-string)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--sql-number)' },
  { tag: tags.comment, color: 'var(--sql-comment)', fontStyle: 'italic' },
]);

const look = EditorView.theme({
  '&': { color: 'var(--ink)', backgroundColor: 'transparent', height: '100%', fontSize: '14px' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.65' },
  '.cm-content': { caretColor: 'var(--accent)', padding: '14px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)', borderLeftWidth: '2px' },
  '.cm-gutters': { backgroundColor: 'transparent', border: 'none', color: 'var(--ink-3)' },
  '.cm-lineNumbers .cm-gutterElement': { padding: '0 10px 0 18px', fontSize: '12px' },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--raised) 60%, transparent)' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground':
    { background: 'var(--accent-soft)' },
  '.cm-matchingBracket, &.cm-focused .cm-matchingBracket': {
    backgroundColor: 'var(--accent-soft)',
    outline: '1px solid var(--accent)',
  },
  '.cm-placeholder': { color: 'var(--ink-3)' },
  '.wrong': { textDecoration: 'underline wavy var(--bad)', textUnderlineOffset: '4px' },
  '.cm-tooltip': {
    backgroundColor: 'var(--raised)',
    border: '1px solid var(--line-strong)',
    borderRadius: '10px',
    boxShadow: 'var(--shadow)',
    overflow: 'hidden',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '13px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '4px 12px', color: 'var(--ink)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': {
    background: 'var(--accent-soft)',
    color: 'var(--ink)',
  },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent-ink)' },
  '.cm-completionDetail': { color: 'var(--ink-3)', fontStyle: 'normal', marginLeft: '1.4em' },
});
