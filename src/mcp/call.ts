import {
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  type CreateMessageRequestParams,
  type ElicitRequestFormParams,
  type ElicitRequestURLParams,
  type ElicitResult,
  type LoggingLevel,
  type ProgressToken,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { Principal } from '../providers/contract.js';

/** The running call as a handler sees it: never the request, never the token. */
export interface McpCall {
  readonly principal: Principal;
  /** The name of the tool or prompt, or the URI read. */
  readonly name: string;
  /** Only for resources. */
  readonly uri: URL | undefined;
  /** Aborts when the client cancels or goes away (HT-16): stop work. */
  readonly signal: AbortSignal;
  /** Reports progress; silently nothing when the client did not ask for it (HT-23). */
  progress(done: number, more?: { total?: number; message?: string }): Promise<void>;
  /** Sends a log message to the client; on 2026-07-28 only when the request set a level (HT-23). */
  log(level: LoggingLevel, data: unknown, logger?: string): Promise<void>;
  /** The client's answers to an earlier `inputRequired(…)` of this call, by key; untrusted. Read with `acceptedContent` or `inputResponse`. */
  readonly answers: Readonly<Record<string, unknown>> | undefined;
  /** What this client can be asked for: elicitation, sampling, roots; undefined: it did not say. */
  readonly clientCapabilities: ClientCapabilities | undefined;
  /** What `seal` was given in an earlier round, verified; undefined in the first round. */
  state(): unknown;
  /** The `requestState` for `inputRequired(…)`: readable by the client, bound to this Principal and call, good for ten minutes (HT-24). */
  seal(payload: unknown): Promise<string>;
  /** Asks the model of a 2025 client with a session; prefer `inputRequired`, which serves every era. @throws on others */
  sample(params: CreateMessageRequestParams): ReturnType<ServerContext['mcpReq']['requestSampling']>;
  /** Asks the person behind a 2025 client with a session; prefer `inputRequired`, which serves every era. @throws on others */
  elicit(params: ElicitRequestFormParams | ElicitRequestURLParams): Promise<ElicitResult>;
  /** Closes the response stream of a 2025 client with a session, which may then poll; nothing elsewhere. */
  closeStream(): void;
}

/** An `McpCall` over the SDK's context. */
export function callOf(
  context: ServerContext,
  facts: {
    principal: Principal;
    name: string;
    uri?: URL;
    seal: (payload: unknown) => Promise<string>;
    /** As a 2025 client declared them at `initialize`. */
    clientCapabilities: ClientCapabilities | undefined;
  },
): McpCall {
  const { mcpReq } = context;
  return {
    principal: facts.principal,
    name: facts.name,
    uri: facts.uri,
    signal: mcpReq.signal,
    progress: (done, more) => reportProgress(context, done, more),
    log: (level, data, logger) => mcpReq.log(level, data, logger),
    answers: mcpReq.inputResponses,
    clientCapabilities: declaredNow(context) ?? facts.clientCapabilities,
    state: () => mcpReq.requestState(),
    seal: facts.seal,
    sample: (params) => mcpReq.requestSampling(params),
    elicit: (params) => mcpReq.elicitInput(params),
    closeStream: () => context.http?.closeSSE?.(),
  };
}

/** What a 2026 request declares for itself. */
function declaredNow({ mcpReq }: ServerContext): ClientCapabilities | undefined {
  const envelope: Readonly<Record<string, unknown>> = mcpReq.envelope ?? {};
  return envelope[CLIENT_CAPABILITIES_META_KEY] as ClientCapabilities | undefined;
}

async function reportProgress(
  { mcpReq }: ServerContext,
  progress: number,
  more: { total?: number; message?: string } = {},
): Promise<void> {
  const progressToken: ProgressToken | undefined = mcpReq._meta?.progressToken;
  if (progressToken === undefined || mcpReq.signal.aborted) return;
  await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, ...more } });
}
