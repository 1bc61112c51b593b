// The floor of every figure: node:http, JSON parsed, the right id and name answered, no authentication, no protocol checks.
import { createServer } from 'node:http';

createServer((request, response) => {
  if (request.method !== 'POST') {
    response.writeHead(405).end();
    return;
  }
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const { id, params } = JSON.parse(Buffer.concat(parts).toString());
    const result = { content: [{ type: 'text', text: `hello, ${params.arguments.name}` }], resultType: 'complete' };
    const body = JSON.stringify({ jsonrpc: '2.0', id, result });
    response
      .writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
      .end(body);
  });
}).listen(Number(process.env.PORT), '127.0.0.1');
