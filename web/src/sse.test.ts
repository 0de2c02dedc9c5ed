import { expect, it } from 'vitest';
import { SseParser, type SseEvent } from './sse';

function parse(...parts: string[]): SseEvent[] {
  const events: SseEvent[] = [];
  const parser = new SseParser((event) => events.push(event));
  for (const part of parts) parser.push(part);
  return events;
}

it('gives an event when its empty line comes', () => {
  expect(parse('event: change\nid: 42\ndata: {"a":1}\n\n')).toEqual([
    { event: 'change', id: '42', data: '{"a":1}' },
  ]);
});

it('does not mind where the network cuts', () => {
  const text = ': hello\n\nevent: status\r\ndata: one\r\ndata: two\r\n\r\nid: 7\ndata:x\n\n';
  const whole = parse(text);
  expect(whole.map(({ data }) => data)).toEqual(['one\ntwo', 'x']);
  expect(parse(...text)).toEqual(whole);
});

it('keeps an unfinished event to itself', () => {
  expect(parse('event: change\ndata: half\n')).toEqual([]);
});

it('ignores events without data, as the standard says', () => {
  expect(parse('event: change\n\n')).toEqual([]);
});
