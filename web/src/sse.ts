// Server-Sent Events out of a byte stream, as the HTML standard defines them.  EventSource would do
// the same but hides the HTTP status, and decides itself when to reconnect and from where.

export interface SseEvent {
  event: string;
  data: string;
  id: string;
}

// Feed it text as it comes; it calls back for each complete event.
export class SseParser {
  private rest = '';
  private event = '';
  private data: string[] = [];
  private id = '';

  constructor(private readonly emit: (event: SseEvent) => void) {}

  push(text: string): void {
    let from = 0;
    const buffer = this.rest + text;
    for (;;) {
      const end = buffer.indexOf('\n', from);
      if (end < 0) break;
      const stop = end > from && buffer[end - 1] === '\r' ? end - 1 : end;
      this.line(buffer.slice(from, stop));
      from = end + 1;
    }
    this.rest = buffer.slice(from);
  }

  private line(line: string): void {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment: the server's keep-alive
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.event = value;
    else if (field === 'data') this.data.push(value);
    else if (field === 'id') this.id = value;
  }

  private dispatch(): void {
    if (this.data.length > 0) {
      this.emit({ event: this.event || 'message', data: this.data.join('\n'), id: this.id });
    }
    this.event = '';
    this.data = [];
  }
}
