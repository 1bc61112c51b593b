import { type AuthProvider, Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { Environment } from '../config/environment.js';
import { explained, type GivenToken } from './client-faults.js';
import { CommandFailed } from './failure.js';
import { BrowserSignIn } from './sign-in/browser-sign-in.js';
import { KeptSignIn, userFolder } from './sign-in/kept-sign-in.js';
import { openBrowser } from './sign-in/open-browser.js';
import { signOut } from './sign-in/sign-out.js';

/** `gatehouse client <url> tools`, `… call <tool> name=value …` or `… logout`. */
export interface ClientCommand {
  readonly url: string;
  readonly action: string;
  readonly rest: readonly string[];
  /** Bearer token; undefined: the kept sign-in, or a new one by browser when the server asks for it. */
  readonly token: GivenToken | undefined;
  /** Print the protocol's result instead of text. */
  readonly json: boolean;
  /** false: only print the address to sign in at. */
  readonly browser: boolean;
  /** A client registered by hand; undefined: register. */
  readonly clientId: string | undefined;
  /** Says where the user's configuration is, and which browser they like. */
  readonly env: Environment;
}

type Tool = Awaited<ReturnType<Client['listTools']>>['tools'][number];
type CallResult = Awaited<ReturnType<Client['callTool']>>;

/** The first for a token, the second for a scope that the first did not bring. */
const MOST_SIGN_INS = 2;
/** One request while signing in, milliseconds. */
const PATIENCE_MS = 20_000;

/**
 * Talks to any MCP server of any protocol version and prints the answer.
 * @throws CommandFailed when the server refuses, cannot be reached, the person does not sign in, or the tool reports an error
 */
export async function client(command: ClientCommand): Promise<void> {
  const url = URL.canParse(command.url) ? new URL(command.url) : null;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new CommandFailed(`"${command.url}" is no http or https URL; try http://localhost:8000/mcp`);
  url.hash = '';
  const act = actions[command.action];
  if (command.action !== 'logout' && !act)
    throw new CommandFailed(`"${command.action}" is no action; wants tools, call or logout`);
  const kept = new KeptSignIn(userFolder(command.env), url);
  if (!act) return printSignOut(command, await signOut(url, kept, fetchInTime));
  const { token, clientId } = command;
  if (token)
    return visit(url, { token: async () => token.value }, (mcp) => act(mcp, command)).catch(explainTo(command));
  const signIn = new BrowserSignIn({ url, kept, clientId, show: showTo(command), fetch: fetchInTime });
  await visitSignedIn(url, signIn, (mcp) => act(mcp, command)).catch(explainTo(command));
}

const actions: Readonly<Record<string, (mcp: Client, command: ClientCommand) => Promise<void>>> = {
  tools: printTools,
  call: callTool,
};

async function visit(url: URL, authProvider: AuthProvider, act: (mcp: Client) => Promise<void>): Promise<void> {
  const mcp = new Client({ name: 'gatehouse-client', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  try {
    await mcp.connect(new StreamableHTTPClientTransport(url, { authProvider }));
    await act(mcp);
  } finally {
    await mcp.close().catch(() => undefined);
  }
}

/** A refusal comes before anything was done, so that the whole visit can be made again. */
async function visitSignedIn(url: URL, signIn: BrowserSignIn, act: (mcp: Client) => Promise<void>): Promise<void> {
  for (let left = MOST_SIGN_INS; ; left--) {
    try {
      return await visit(url, signIn, act);
    } catch (error) {
      if (left === 0 || !signIn.mends(error)) throw error;
    }
    await signIn.signIn();
  }
}

function explainTo(command: ClientCommand): (error: unknown) => never {
  return (error) => {
    throw explained(error, command.url, command.token);
  };
}

function showTo({ url: server, browser, env }: ClientCommand): (url: URL, patience: number) => Promise<void> {
  return async (url, patience) => {
    const minutes = Math.round(patience / 60);
    process.stderr.write(
      `Sign in to ${server} in a browser on this machine, within ${minutes} minutes:\n\n  ${url.href}\n\n`,
    );
    if (browser && !(await openBrowser(url, env))) process.stderr.write('No browser could be opened from here.\n');
  };
}

/** `fetch` that gives up: a sign-in must not hang on a silent server. */
function fetchInTime(url: string | URL, init?: RequestInit): Promise<Response> {
  return fetch(url, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) });
}

function printSignOut({ url, json }: ClientCommand, done: Awaited<ReturnType<typeof signOut>>): void {
  if (json) return print(JSON.stringify({ url, was_signed_in: done.wasSignedIn, revoked: done.revoked }));
  if (!done.wasSignedIn) return print(`not signed in to ${url}`);
  print(`signed out of ${url}`);
  if (!done.revoked) print('the server offers no revocation: what it issued lasts until it expires');
}

async function printTools(mcp: Client, { json }: ClientCommand): Promise<void> {
  const tools = await allTools(mcp);
  if (json) return print(JSON.stringify(tools));
  if (tools.length === 0) return print('no tools');
  const width = Math.max(...tools.map(({ name }) => name.length));
  for (const { name, description } of tools) print(`${name.padEnd(width)}  ${description ?? ''}`.trimEnd());
}

async function allTools(mcp: Client): Promise<Tool[]> {
  const tools: Tool[] = [];
  let cursor: string | undefined;
  do {
    const page = await mcp.listTools(cursor === undefined ? {} : { cursor });
    tools.push(...page.tools);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return tools;
}

async function callTool(mcp: Client, { rest, json }: ClientCommand): Promise<void> {
  const [name, ...pairs] = rest;
  if (name === undefined) throw new CommandFailed('which tool? client <url> call <tool> [name=value …]');
  const properties = pairs.some((pair) => !pair.includes(':=')) ? await propertiesOf(mcp, name) : {};
  const result = await mcp.callTool({
    name,
    arguments: Object.fromEntries(pairs.map((pair) => argument(pair, properties))),
  });
  if (json) print(JSON.stringify(result));
  else if (!result.isError) print(textOf(result));
  if (result.isError) throw new CommandFailed(`${name} failed: ${textOf(result)}`);
}

async function propertiesOf(mcp: Client, name: string): Promise<Record<string, unknown>> {
  const tool = (await allTools(mcp)).find((one) => one.name === name);
  return tool?.inputSchema.properties ?? {};
}

/** `name=text`, read as the tool's schema wants it, or `name:=json`. */
export function argument(pair: string, properties: Readonly<Record<string, unknown>>): [string, unknown] {
  const match = /^([^:=]+)(:?=)(.*)$/s.exec(pair);
  if (!match) throw new CommandFailed(`"${pair}" is no argument; wants name=value or name:=json`);
  const [, name = '', sign, text = ''] = match;
  const type = (properties[name] as { type?: unknown } | undefined)?.type;
  const isText =
    sign === '=' && (type === undefined || type === 'string' || (Array.isArray(type) && type.includes('string')));
  if (isText) return [name, text];
  try {
    return [name, JSON.parse(text) as unknown];
  } catch {
    throw new CommandFailed(`${name}: got "${text}", wants JSON${typeof type === 'string' ? ` of type ${type}` : ''}`);
  }
}

function textOf(result: CallResult): string {
  const texts = result.content.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`));
  return texts.length > 0 ? texts.join('\n') : JSON.stringify(result.structuredContent ?? {});
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
