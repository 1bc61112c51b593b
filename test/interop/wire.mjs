// A loopback proxy that changes nothing and writes down what passes: method, path, status and the grant type.
import { once } from 'node:events';
import { createServer, request } from 'node:http';

/** @returns the proxy's origin, `seen` (what passed since it was last emptied) and `close` */
export async function startWire(target) {
  const seen = [];
  const server = createServer((from, to) => {
    const parts = [];
    from.on('data', (part) => parts.push(part));
    from.on('end', () => {
      const body = Buffer.concat(parts);
      const onward = request(new URL(from.url, target()), { method: from.method, headers: from.headers }, (answer) => {
        const { pathname } = new URL(from.url, target());
        const grant = pathname === '/token' ? new URLSearchParams(body.toString()).get('grant_type') : undefined;
        const call = pathname === '/mcp' ? /"method":"([^"]+)"/.exec(body.toString())?.[1] : undefined;
        seen.push([from.method, pathname, answer.statusCode, grant ?? call].filter(Boolean).join(' '));
        to.writeHead(answer.statusCode, answer.headers);
        answer.pipe(to);
      });
      onward.on('error', () => to.destroy());
      to.on('close', () => onward.destroy());
      onward.end(body);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://localhost:${server.address().port}`,
    port: server.address().port,
    seen,
    close: () => (server.closeAllConnections(), server.close()),
  };
}
