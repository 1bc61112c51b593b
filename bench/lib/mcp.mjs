// MCP request building and response checking for the three ways a client can call a tool over streamable HTTP.
export const MODES = ['modern', 'stateless', 'session'];
export const PROTOCOL = { modern: '2026-07-28', stateless: '2025-11-25', session: '2025-11-25' };

export function requestBytes(url, { body, token, headers = {}, method = 'POST' }) {
  let h = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`;
  if (token) h += `authorization: Bearer ${token}\r\n`;
  for (const k in headers) h += `${k}: ${headers[k]}\r\n`;
  if (body === undefined) return `${h}\r\n`;
  return `${h}accept: application/json, text/event-stream\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const META = JSON.stringify({
  'io.modelcontextprotocol/protocolVersion': PROTOCOL.modern,
  'io.modelcontextprotocol/clientInfo': { name: 'mcp-bench', version: '0.1.0' },
  'io.modelcontextprotocol/clientCapabilities': {},
});

/** Header part is fixed for a connection; only the body (id, argument) changes. */
export function callBuilder(url, mode, token, tool, sessionId) {
  const fixed = { 'mcp-protocol-version': PROTOCOL[mode] };
  if (mode === 'modern') {
    fixed['mcp-method'] = 'tools/call';
    fixed['mcp-name'] = tool;
  }
  if (sessionId) fixed['mcp-session-id'] = sessionId;
  let head = `POST ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`;
  if (token) head += `authorization: Bearer ${token}\r\n`;
  for (const k in fixed) head += `${k}: ${fixed[k]}\r\n`;
  head += 'accept: application/json, text/event-stream\r\ncontent-type: application/json\r\ncontent-length: ';
  const a = '{"jsonrpc":"2.0","id":';
  const b = `,"method":"tools/call","params":{"name":${JSON.stringify(tool)},"arguments":{"name":"`;
  const c = mode === 'modern' ? `"},"_meta":${META}}}` : '"}}}';
  // id and name are ASCII, so lengths are byte lengths
  return (id, name) => {
    const body = `${a}${id}${b}${name}${c}`;
    return `${head}${body.length}\r\n\r\n${body}`;
  };
}

/** The JSON-RPC message with this id, out of a JSON or an SSE body. */
export function extract(res, id) {
  const type = res.headers['content-type'] ?? '';
  if (type.startsWith('application/json')) return JSON.parse(res.body);
  if (!type.startsWith('text/event-stream')) throw new Error(`unexpected content-type ${type || '(none)'}`);
  let found;
  for (const event of res.body.split(/\r?\n\r?\n/)) {
    let data = '';
    for (const line of event.split(/\r?\n/))
      if (line.startsWith('data:')) data += (data ? '\n' : '') + line.slice(5).replace(/^ /, '');
    if (!data) continue;
    const m = JSON.parse(data);
    if (m.id === id) found = m;
  }
  if (!found) throw new Error('no response with this id in the event stream');
  return found;
}

/** Throws unless the response is HTTP 200 and the exact tool result for this id and name. */
export function check(res, id, expected, mode) {
  if (res.status !== 200) throw new Error(`HTTP ${res.status}: ${res.body.slice(0, 200)}`);
  const m = extract(res, id);
  if (m.error) throw new Error(`JSON-RPC error ${m.error.code}: ${m.error.message}`);
  if (m.jsonrpc !== '2.0' || m.id !== id) throw new Error(`wrong id: got ${m.id}, sent ${id}`);
  const r = m.result;
  if (!r || r.isError) throw new Error(`tool error: ${JSON.stringify(r)?.slice(0, 200)}`);
  const t = r.content?.[0];
  if (t?.type !== 'text' || t.text !== expected)
    throw new Error(`wrong result: ${JSON.stringify(r).slice(0, 200)}, expected ${expected}`);
  if (mode === 'modern' && r.resultType !== undefined && r.resultType !== 'complete')
    throw new Error(`resultType ${r.resultType}`);
}

/** initialize + notifications/initialized; resolves the session id. */
export async function openSession(conn, url, token) {
  const init = await conn.request(
    requestBytes(url, {
      token,
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 'init',
        method: 'initialize',
        params: {
          protocolVersion: PROTOCOL.session,
          capabilities: {},
          clientInfo: { name: 'mcp-bench', version: '0.1.0' },
        },
      }),
    }),
  );
  if (init.status !== 200) throw new Error(`initialize: HTTP ${init.status}: ${init.body.slice(0, 200)}`);
  const m = extract(init, 'init');
  if (m.result?.protocolVersion !== PROTOCOL.session) throw new Error(`initialize: ${JSON.stringify(m).slice(0, 200)}`);
  const sid = init.headers['mcp-session-id'];
  if (!sid) throw new Error('the server gave no mcp-session-id (it is stateless)');
  const n = await conn.request(
    requestBytes(url, {
      token,
      headers: { 'mcp-session-id': sid, 'mcp-protocol-version': PROTOCOL.session },
      body: '{"jsonrpc":"2.0","method":"notifications/initialized"}',
    }),
  );
  if (n.status !== 202 && n.status !== 200 && n.status !== 204)
    throw new Error(`notifications/initialized: HTTP ${n.status}`);
  return sid;
}
