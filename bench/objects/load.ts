import { connect } from 'node:net';

const CLOSING_BRACE = '}'.codePointAt(0);

/** How many answers came within `ms`, over `connections` that each send the next request when the answer is there. */
export async function answersWithin(url: URL, connections: number, ms: number): Promise<number> {
  const counts = await Promise.all(Array.from({ length: connections }, () => ask(url, ms)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Keeps a connection busy for `ms` and gives the number of answers. */
function ask(url: URL, ms: number): Promise<number> {
  const request = `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: bench\r\n\r\n`;
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname, () => socket.write(request));
    let answers = 0;
    socket.on('data', (chunk) => {
      // All answers are small JSON objects. Parsing HTTP would take the machine more time than answering.
      if (chunk.at(-1) !== CLOSING_BRACE) return;
      answers += 1;
      socket.write(request);
    });
    socket.on('error', reject);
    setTimeout(() => {
      socket.destroy();
      resolve(answers);
    }, ms);
  });
}
