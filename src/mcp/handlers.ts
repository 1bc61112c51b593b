import { Inject, Injectable, Optional, type Type } from '@nestjs/common';
import { ContextIdFactory, ExternalContextCreator, ModuleRef, ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { UpstreamUnavailable } from '../providers/contract.js';
import {
  UPSTREAM_TOKENS,
  UpstreamNotEnabled,
  UpstreamReconnectNeeded,
  UpstreamRefused,
  type UpstreamToken,
  type UpstreamTokenSource,
} from '../providers/upstream-tokens.js';
import type { McpCall } from './call.js';
import { PARAMETERS, ParameterType } from './decorators.js';
import { ToolError } from './tool-error.js';

/** Runs a decorated method with Nest's guards, interceptors, pipes and filters around it. */
export type Handler = (input: unknown, call: McpCall) => Promise<unknown>;

/** A class whose methods may be handlers. */
export interface HandlerHost {
  readonly type: Type<Record<string, (...args: unknown[]) => unknown>>;
  readonly wrapper: InstanceWrapper<Record<string, (...args: unknown[]) => unknown>>;
}

type Instance = Record<string, (...args: unknown[]) => unknown>;

/**
 * Makes handlers out of methods. Guards, interceptors and filters see the context type `mcp`; their arguments are the input and the `McpCall`
 * (`switchToRpc().getData()` and `.getContext()`). A request-scoped class is made anew for each call and may inject the `McpCall` as `REQUEST`.
 */
@Injectable()
export class Handlers {
  constructor(
    private readonly creator: ExternalContextCreator,
    private readonly modules: ModulesContainer,
    private readonly moduleRef: ModuleRef,
    @Optional() @Inject(UPSTREAM_TOKENS) private readonly upstream?: UpstreamTokenSource,
  ) {}

  /** The class behind a provider; null for values and aliases without one. */
  hostOf(wrapper: InstanceWrapper): HandlerHost | null {
    if (wrapper.isAlias) return null;
    const instance: unknown = wrapper.isNotMetatype ? wrapper.instance : null;
    const type: unknown = wrapper.isNotMetatype ? instance?.constructor : wrapper.metatype;
    if (typeof type !== 'function' || !type.prototype || type === Object) return null;
    return { type, wrapper } as HandlerHost;
  }

  /** Classes of all modules. */
  moduleTypes(): Type[] {
    return [...this.modules.values()].map(({ metatype }) => metatype);
  }

  /** The handler for one method. */
  of(host: HandlerHost, method: string): Handler {
    const run = this.#plain(host, method);
    return async (input, call) => {
      try {
        return await run(input, call);
      } catch (error) {
        if (!(error instanceof UpstreamRefused)) throw error;
        return this.#renew(call, error);
      }
    };
  }

  /** Tells the upstream's refusal on, and the model what to do now. */
  async #renew(call: McpCall, refusal: UpstreamRefused): Promise<never> {
    const { token } = refusal;
    await this.upstream?.refused(call.principal, token);
    await this.#upstreamToken(call, token.provider);
    throw new ToolError(`The access to ${token.provider} had ended and was renewed: repeat the call`, {
      cause: refusal,
    });
  }

  #plain(host: HandlerHost, method: string): Handler {
    if (host.wrapper.isDependencyTreeStatic()) {
      const run = this.#around(host.wrapper.instance, method);
      return (input, call) => run(input, call);
    }
    return async (input, call) => {
      const contextId = ContextIdFactory.create();
      this.moduleRef.registerRequestByContextId(call, contextId);
      const instance = await this.moduleRef.resolve<Instance>(host.wrapper.token as Type, contextId, { strict: false });
      return this.#around(instance, method, contextId, host.wrapper.id)(input, call);
    };
  }

  #around(
    instance: Instance,
    method: string,
    ...scope: [contextId?: ReturnType<typeof ContextIdFactory.create>, inquirerId?: string]
  ): Handler {
    const all = { guards: true, interceptors: true, filters: true };
    return this.creator.create(
      instance,
      instance[method]!,
      method,
      PARAMETERS,
      { exchangeKeyForValue: (type, data, args) => this.#value(type, data, args as [unknown, McpCall]) },
      scope[0],
      scope[1],
      all,
      'mcp',
    );
  }

  #value(type: number, data: unknown, [input, call]: [unknown, McpCall]): unknown {
    switch (type) {
      case ParameterType.caller:
        return call.principal;
      case ParameterType.call:
        return call;
      case ParameterType.upstream:
        return this.#upstreamToken(call, String(data));
      default:
        return input;
    }
  }

  async #upstreamToken(call: McpCall, provider: string): Promise<UpstreamToken> {
    try {
      if (!this.upstream) throw new UpstreamNotEnabled(provider);
      return await this.upstream.tokenFor(call.principal, provider);
    } catch (cause) {
      if (cause instanceof UpstreamReconnectNeeded || cause instanceof UpstreamNotEnabled)
        throw new ToolError(cause.message, { cause });
      if (cause instanceof UpstreamUnavailable)
        throw new ToolError(`${provider} cannot be reached now; try again in ${cause.retryAfter} seconds`, { cause });
      throw cause;
    }
  }
}
