import { Client, SdkHttpError, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { CommandFailed } from './failure.js';

/** `gatehouse client <url> tools` or `… call <tool> name=value …`. */
export interface ClientCommand {
  readonly url: string;
  readonly action: string;
  readonly rest: readonly string[];
  /** Bearer token; undefined: none. */
  readonly token: string | undefined;
  /** Print the protocol's result instead of text. */
  readonly json: boolean;
}

type Tool = Awaited<ReturnType<Client['listTools']>>['tools'][number];
type CallResult = Awaited<ReturnType<Client['callTool']>>;

/**
 * Talks to any MCP server of any protocol version and prints the answer.
 * @throws CommandFailed when the server refuses, cannot be reached, or the tool reports an error
 */
export async function client(command: ClientCommand): Promise<void> {
  if (!URL.canParse(command.url)) throw new CommandFailed(`"${command.url}" is no URL; try http://localhost:8000/mcp`);
  const mcp = new Client({ name: 'gatehouse-client', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const { token } = command;
  const transport = new StreamableHTTPClientTransport(new URL(command.url), {
    authProvider: { token: () => Promise.resolve(token) },
  });
  try {
    await mcp.connect(transport);
    if (command.action === 'tools') await printTools(mcp, command.json);
    else if (command.action === 'call') await callTool(mcp, command);
    else throw new CommandFailed(`"${command.action}" is no action; wants tools or call`);
  } catch (error) {
    throw explained(error, command);
  } finally {
    await mcp.close().catch(() => undefined);
  }
}

async function printTools(mcp: Client, json: boolean): Promise<void> {
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

function explained(error: unknown, { url, token }: ClientCommand): Error {
  if (error instanceof CommandFailed) return error;
  const status = error instanceof SdkHttpError ? error.status : undefined;
  if (error instanceof UnauthorizedError || status === 401)
    return new CommandFailed(
      token === undefined
        ? `${url} asks for sign-in. Signing in by browser is not built into this command: pass --token, or set GATEHOUSE_TOKEN`
        : `${url} does not accept this token: it is unknown, expired or revoked`,
      { cause: error },
    );
  if (status === 403) return new CommandFailed(`${url}: the token's scopes do not suffice`, { cause: error });
  const root = rootCause(error);
  return new CommandFailed(`${url}: ${root}`, { cause: error });
}

/** `fetch failed` says nothing; its cause names the connection's fault. */
function rootCause(error: unknown): string {
  let current: unknown = error;
  while (current instanceof Error && current.cause instanceof Error) current = current.cause;
  if (current instanceof AggregateError) current = current.errors[0] ?? current;
  return current instanceof Error ? current.message : String(current);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
