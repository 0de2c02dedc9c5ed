// The SharedWorker of all tabs; see feed_hub.ts.
import { Hub, type Ask } from './feed_hub';

const hub = new Hub();

(globalThis as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0]!;
  port.onmessage = ({ data }: MessageEvent<Ask>) => hub.hear(port, data);
  // Where there is such an event, a tab that crashed is noticed at once.
  port.addEventListener('close', () => hub.hear(port, { ask: 'bye' }));
};
