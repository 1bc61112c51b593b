// The SDK's own handler on bare node:http: `createMcpHandler`, both eras, no authentication.
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

// Made once: a schema built inside the factory makes calls several times slower.
const input = z.object({ name: z.string() });

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'sdk-v2', version: '1' });
  server.registerTool('hello', { description: 'Says hello', inputSchema: input }, ({ name }) => ({
    content: [{ type: 'text', text: `hello, ${name}` }],
  }));
  return server;
});
createServer(toNodeHandler(handler)).listen(Number(process.env.PORT), '127.0.0.1');
