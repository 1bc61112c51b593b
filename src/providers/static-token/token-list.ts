import { readFileSync } from 'node:fs';
import { z } from 'zod';

const entry = z.strictObject({
  client_id: z.string().min(1),
  scopes: z.array(z.string()).default([]),
  /** Epoch seconds. */
  expires_at: z.number().int().positive().nullish(),
});

/** Token → what it stands for. */
export type TokenList = Readonly<Record<string, z.output<typeof entry>>>;
/** The same as an operator may write it in code. */
export type TokenListInput = Readonly<Record<string, z.input<typeof entry>>>;

const FORM =
  'wants a JSON object of token → {"client_id", "scopes", "expires_at"}, for example {"<token>":{"client_id":"ci","scopes":["mcp"],"expires_at":1893456000}}';

const WANTS: Readonly<Record<string, string>> = {
  client_id: 'client_id wants a text',
  scopes: 'scopes wants a list of texts',
  expires_at: 'expires_at wants epoch seconds, a whole number',
};

/** Reads a list, JSON or an object. A string answer says what is wrong, entry by entry, and repeats nothing of the list: tokens are in it. */
export function parseTokenList(value: unknown): TokenList | string {
  const list = typeof value === 'string' ? json(value) : value;
  if (list === undefined) return `${FORM}; it is not JSON`;
  if (typeof list !== 'object' || list === null || Array.isArray(list)) return FORM;
  const faults: string[] = [];
  const tokens: Record<string, z.output<typeof entry>> = {};
  Object.entries(list).forEach(([token, written], i) => {
    const fault = faultOfToken(token);
    if (fault !== null) faults.push(`entry ${i + 1}: ${fault}`);
    const parsed = entry.safeParse(written);
    if (parsed.success) tokens[token] = parsed.data;
    else faults.push(...new Set(parsed.error.issues.map((issue) => `entry ${i + 1}: ${faultOfEntry(issue)}`)));
  });
  return faults.length > 0 ? `${FORM}; ${faults.join('; ')}` : tokens;
}

/** Reads a list from a file. A string answer says what is wrong, and never repeats its content. */
export function readTokenFile(file: string): TokenList | string {
  try {
    return parseTokenList(readFileSync(file, 'utf8'));
  } catch (error) {
    return `cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`;
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function faultOfToken(token: string): string | null {
  if (token.length < 8) return 'a token wants at least 8 characters';
  return /^[\x21-\x7E]+$/.test(token) ? null : 'a token is printable ASCII without spaces';
}

function faultOfEntry({ path, code }: z.core.$ZodIssue): string {
  if (code === 'unrecognized_keys') return 'has a member that is none of client_id, scopes and expires_at';
  return WANTS[String(path[0])] ?? 'wants an object';
}
