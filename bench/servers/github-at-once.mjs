// An upstream that signs everybody in at once, in GitHub's paths: the login bench measures the servers in front of it, not a person.
import { createServer } from 'node:http';

const port = Number(process.env.PORT);
let people = 0;
const codes = new Map();

createServer((request, response) => {
  const url = new URL(request.url, `http://127.0.0.1:${port}`);
  const json = (value) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  request.resume();
  if (url.pathname === '/login/oauth/authorize') {
    const code = `code-${++people}`;
    codes.set(`token-of-${code}`, (people % 200) + 1);
    const back = new URL(url.searchParams.get('redirect_uri'));
    back.searchParams.set('code', code);
    back.searchParams.set('state', url.searchParams.get('state'));
    response.writeHead(302, { location: back.href }).end();
  } else if (url.pathname === '/login/oauth/access_token') {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () =>
      json({
        access_token: `token-of-${new URLSearchParams(body).get('code')}`,
        token_type: 'bearer',
        scope: 'read:user,user:email',
      }),
    );
  } else {
    const id = codes.get(request.headers.authorization?.replace(/^(Bearer|token) /i, '')) ?? 1;
    if (url.pathname === '/user') json({ id, login: `person-${id}`, name: `Person ${id}` });
    else json([{ email: `person-${id}@example.com`, primary: true, verified: true }]);
  }
}).listen(port, '127.0.0.1');
