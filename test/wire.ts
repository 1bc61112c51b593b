import { request } from 'node:http';

/** An answer as it came over the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** What is sent: `fetch` would not let us choose the path byte for byte, `Host`, or a body that is announced and never sent. */
export interface WireRequest {
  /** An authority, for example `http://localhost:8000`. */
  readonly to: string;
  /** Sent as it is. */
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** true: the request never ends; its answer comes before. */
  readonly unfinished?: boolean;
}

/** One request over a connection of its own. */
export function send({
  to,
  path = '/',
  method = 'GET',
  headers = {},
  body,
  unfinished,
}: WireRequest): Promise<WireAnswer> {
  const { hostname, port } = new URL(to);
  return new Promise((resolve, reject) => {
    const sent = request(
      { hostname, port, path, method, headers: headers as Record<string, string>, agent: false },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => (text += part));
        answer.on('end', () => {
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text });
          sent.destroy();
        });
      },
    );
    sent.on('error', reject);
    if (body !== undefined) sent.write(body);
    if (unfinished) sent.flushHeaders();
    else sent.end();
  });
}
