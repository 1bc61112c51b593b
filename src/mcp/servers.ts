import { Injectable } from '@nestjs/common';
import {
  type CallToolResult,
  type CompleteResult,
  type InputRequiredResult,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type ServerCapabilities,
  type ServerContext,
  SUPPORTED_PROTOCOL_VERSIONS,
} from '@modelcontextprotocol/server';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/server/validators/ajv';
import { z } from 'zod';
import type { Principal } from '../providers/contract.js';
import { callOf, type McpCall } from './call.js';
import { Catalogue, type ReadTarget } from './catalogue.js';
import type { Completer } from './decorators.js';
import { callTool, getPrompt, readResource } from './invocation.js';
import { canonical } from './policy.js';
import { callerIn } from './request-caller.js';
import { RequestStates } from './request-state.js';
import { MALFORMED } from './params.js';
import { serverVersion } from './server-version.js';

/** Revisions served on the one URL, newest first. */
export const PROTOCOL_VERSIONS: readonly string[] = ['2026-07-28', ...SUPPORTED_PROTOCOL_VERSIONS];

const SERVER_INFO = { name: 'gatehouse', version: serverVersion };
const COMPLETIONS = 100;
const faultParams = z.object({ fault: z.string() });

/**
 * The SDK's server over our catalogue: nothing is registered and no schema converted for a request, and each answer is made for the Principal
 * of that very request, since scopes may change during an MCP session.
 */
export class CatalogueServer extends McpServer {
  /** Resources a 2025 client with a session wants to hear of. */
  readonly subscriptions = new Set<string>();
  readonly #catalogue: Catalogue;

  constructor(catalogue: Catalogue, options: ConstructorParameters<typeof McpServer>[1]) {
    super(SERVER_INFO, options);
    this.#catalogue = catalogue;
  }

  /** What the SDK compares `Mcp-Param-*` headers with (HT-8). */
  override toolInputSchemaJson(name: string): Record<string, unknown> | undefined {
    return this.#catalogue.tools.get(name)?.input.json;
  }
}

/** Makes one server for each request or MCP session: two Principals never share one (security.md 40). */
@Injectable()
export class Servers {
  readonly #validator = new AjvJsonSchemaValidator();
  #capabilities: ServerCapabilities | undefined;

  constructor(
    private readonly catalogue: Catalogue,
    private readonly states: RequestStates,
  ) {}

  /** A server that is not connected yet. */
  create(): CatalogueServer {
    const server = new CatalogueServer(this.catalogue, {
      supportedProtocolVersions: [...PROTOCOL_VERSIONS],
      jsonSchemaValidator: this.#validator,
      requestState: { verify: (state, context) => this.states.open(state, context) },
    });
    this.#capabilities ??= this.#whatThereIs();
    server.server.registerCapabilities(this.#capabilities);
    server.server.setRequestHandler(MALFORMED, { params: faultParams }, ({ fault }) => {
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, fault);
    });
    this.#addTools(server);
    if (this.#capabilities.resources) this.#addResources(server);
    if (this.#capabilities.prompts) this.#addPrompts(server);
    if (this.#capabilities.completions) this.#addCompletions(server);
    return server;
  }

  #whatThereIs(): ServerCapabilities {
    const { resources, templates, prompts } = this.catalogue;
    const completes = [...templates.values(), ...prompts.values()].some(
      ({ complete }) => Object.keys(complete).length > 0,
    );
    return {
      tools: { listChanged: true },
      logging: {},
      ...(resources.size + templates.size > 0 ? { resources: { listChanged: true, subscribe: true } } : {}),
      ...(prompts.size > 0 ? { prompts: { listChanged: true } } : {}),
      ...(completes ? { completions: {} } : {}),
    };
  }

  #addTools({ server }: CatalogueServer): void {
    server.setRequestHandler('tools/list', ({ params }, context) => {
      refuseCursor(params);
      return { tools: this.catalogue.visible(principalIn(context), this.catalogue.tools).map(({ listed }) => listed) };
    });
    server.setRequestHandler(
      'tools/call',
      async ({ params }, context): Promise<CallToolResult | InputRequiredResult> => {
        const entry = this.catalogue.tools.get(params.name);
        if (!entry || this.catalogue.verdict(principalIn(context), entry) !== 'yes')
          throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${params.name} not found`);
        const result = await callTool(entry, params.arguments, this.#call(server, context, params.name));
        return 'content' in result
          ? server.projectCallToolResult(result as CallToolResult, entry.output?.json)
          : result;
      },
    );
  }

  #addResources({ server, subscriptions }: CatalogueServer): void {
    const { catalogue } = this;
    server.setRequestHandler('resources/list', ({ params }, context) => {
      refuseCursor(params);
      return { resources: catalogue.visible(principalIn(context), catalogue.resources).map(({ listed }) => listed) };
    });
    server.setRequestHandler('resources/templates/list', ({ params }, context) => {
      refuseCursor(params);
      const visible = catalogue.visible(principalIn(context), catalogue.templates);
      return { resourceTemplates: visible.map(({ listed }) => listed) };
    });
    server.setRequestHandler('resources/read', async ({ params }, context) => {
      const target = this.#readable(params.uri, context);
      const uri = new URL(params.uri);
      return readResource(target, uri, this.#call(server, context, params.uri, uri));
    });
    server.setRequestHandler('resources/subscribe', ({ params }, context) => {
      this.#readable(params.uri, context);
      subscriptions.add(canonical(params.uri));
      return {};
    });
    server.setRequestHandler('resources/unsubscribe', ({ params }) => {
      subscriptions.delete(canonical(params.uri));
      return {};
    });
  }

  #addPrompts({ server }: CatalogueServer): void {
    server.setRequestHandler('prompts/list', ({ params }, context) => {
      refuseCursor(params);
      return {
        prompts: this.catalogue.visible(principalIn(context), this.catalogue.prompts).map(({ listed }) => listed),
      };
    });
    server.setRequestHandler('prompts/get', async ({ params }, context) => {
      const entry = this.catalogue.prompts.get(params.name);
      if (!entry || this.catalogue.verdict(principalIn(context), entry) !== 'yes')
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Prompt ${params.name} not found`);
      return getPrompt(entry, params.arguments, this.#call(server, context, params.name));
    });
  }

  #addCompletions({ server }: CatalogueServer): void {
    server.setRequestHandler('completion/complete', async ({ params }, context): Promise<CompleteResult> => {
      const { ref, argument } = params;
      const entry =
        ref.type === 'ref/prompt' ? this.catalogue.prompts.get(ref.name) : this.catalogue.templates.get(ref.uri);
      if (!entry || this.catalogue.verdict(principalIn(context), entry) !== 'yes')
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'Nothing to complete has that name');
      const completer: Completer | undefined = entry.complete[argument.name];
      const values = (await completer?.(argument.value, params.context as Parameters<Completer>[1])) ?? [];
      return {
        completion: {
          values: values.slice(0, COMPLETIONS),
          total: values.length,
          hasMore: values.length > COMPLETIONS,
        },
      };
    });
  }

  /** @throws ResourceNotFoundError also for what a missing role hides */
  #readable(uri: string, context: ServerContext): ReadTarget {
    const target = URL.canParse(uri) ? this.catalogue.readTarget(canonical(uri)) : null;
    if (!target || this.catalogue.verdict(principalIn(context), target.entry) !== 'yes')
      throw new ResourceNotFoundError(uri);
    return target;
  }

  #call(server: CatalogueServer['server'], context: ServerContext, name: string, uri?: URL): McpCall {
    return callOf(context, {
      principal: principalIn(context),
      name,
      ...(uri ? { uri } : {}),
      seal: (payload) => this.states.seal(payload, context),
      clientCapabilities: server.getClientCapabilities(),
    });
  }
}

function principalIn(context: ServerContext): Principal {
  return callerIn(context).principal;
}

/** Lists come whole, so no cursor was ever given out. */
function refuseCursor(params: { cursor?: string | undefined } | undefined): void {
  if (params?.cursor !== undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'Unknown cursor');
}
