import { Injectable, type Type } from '@nestjs/common';
import { ContextIdFactory, ExternalContextCreator, ModuleRef, ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { UpstreamRefused } from '../providers/upstream-tokens.js';
import type { McpCall } from './call.js';
import { injectedUpstreams, PARAMETERS, ParameterType } from './decorators.js';
import { type DeclaredUpstreams, UpstreamAccess } from './upstream-access.js';

/** Runs a decorated method with Nest's guards, interceptors, pipes and filters around it. */
export type Handler = (input: unknown, call: McpCall) => Promise<unknown>;

/** A class whose methods may be handlers. */
export interface HandlerHost {
  readonly type: Type<Record<string, (...args: unknown[]) => unknown>>;
  readonly wrapper: InstanceWrapper<Record<string, (...args: unknown[]) => unknown>>;
}

/** A method, and the upstream scopes it declared. */
interface Target {
  readonly host: HandlerHost;
  readonly method: string;
  readonly upstream: DeclaredUpstreams;
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
    private readonly upstream: UpstreamAccess,
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

  /** The handler for one method; it does not run for a person whose upstream tokens lack what it declares. */
  of(host: HandlerHost, method: string, upstream: DeclaredUpstreams = {}): Handler {
    const run = this.#plain({ host, method, upstream });
    // What is injected is looked at then, after the guards.
    const injected = injectedUpstreams(host.type, method);
    const others = Object.entries(upstream).filter(([provider]) => !injected.includes(provider));
    return async (input, call) => {
      try {
        for (const [provider, scopes] of others) await this.upstream.demand(call, provider, scopes);
        return await run(input, call);
      } catch (error) {
        if (!(error instanceof UpstreamRefused)) throw error;
        return this.upstream.renew(call, error);
      }
    };
  }

  #plain(target: Target): Handler {
    const { host } = target;
    if (host.wrapper.isDependencyTreeStatic()) {
      const run = this.#around(host.wrapper.instance, target);
      return (input, call) => run(input, call);
    }
    return async (input, call) => {
      const contextId = ContextIdFactory.create();
      this.moduleRef.registerRequestByContextId(call, contextId);
      const instance = await this.moduleRef.resolve<Instance>(host.wrapper.token as Type, contextId, { strict: false });
      return this.#around(instance, target, contextId, host.wrapper.id)(input, call);
    };
  }

  #around(
    instance: Instance,
    { method, upstream }: Target,
    ...scope: [contextId?: ReturnType<typeof ContextIdFactory.create>, inquirerId?: string]
  ): Handler {
    const all = { guards: true, interceptors: true, filters: true };
    return this.creator.create(
      instance,
      instance[method]!,
      method,
      PARAMETERS,
      {
        exchangeKeyForValue: (type, data, args) =>
          this.#value(type, data, { args: args as [unknown, McpCall], upstream }),
      },
      scope[0],
      scope[1],
      all,
      'mcp',
    );
  }

  #value(
    type: number,
    data: unknown,
    { args: [input, call], upstream }: { args: [unknown, McpCall]; upstream: DeclaredUpstreams },
  ): unknown {
    switch (type) {
      case ParameterType.caller:
        return call.principal;
      case ParameterType.call:
        return call;
      case ParameterType.upstream:
        return this.upstream.token(call, String(data), upstream[String(data)]);
      default:
        return input;
    }
  }
}
