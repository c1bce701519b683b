import { once } from 'node:events';
import { Agent, createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A tiny load balancer: hands each request to the next of `ports`. Returns its own address, and a function to end it. */
export async function startFront(
  ports: readonly number[],
): Promise<{ readonly url: string; readonly close: () => void }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  let turn = 0;
  const server = createServer((request, response) => {
    turn += 1;
    const { method, url: path, headers } = request;
    const forwarded = send({ host: '127.0.0.1', port: ports[turn % ports.length], method, path, headers, agent });
    forwarded.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forwarded.on('error', (error) => response.writeHead(502).end(String(error)));
    request.pipe(forwarded);
  }).listen(0, '127.0.0.1');
  server.keepAliveTimeout = 0; // as in server.ts
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
      agent.destroy();
    },
  };
}
