import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import type {
  Annotations,
  CacheHint,
  Icon,
  StandardSchemaWithJSON,
  ToolAnnotations,
} from '@modelcontextprotocol/server';
import type { ScopeDeclaration } from '../access/scope-catalogue.js';
import type {
  HandlerDecorator,
  Parsed,
  PromptReturn,
  ResourceReturn,
  TemplateVariables,
  ToolReturn,
} from './handler-types.js';

/** Who may see and use it. */
export interface Gate {
  /** The token must cover all of these; otherwise it is not listed, and using it gets a 403 challenge. */
  readonly scopes?: readonly string[];
  /** The person must have one of these; otherwise it does not exist for them. */
  readonly roles?: readonly string[];
}

interface Described extends Gate {
  /** Default: the name of the method. */
  readonly name?: string;
  /** For people, where `name` is for machines. */
  readonly title?: string;
  readonly icons?: Icon[];
  /**
   * Scopes of upstreams that it needs, by provider id: asked for when a person signs in with that provider for something that opens it. Without them it
   * does not run, and the model is told which permission is missing.
   */
  readonly upstream?: Readonly<Record<string, readonly string[]>>;
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** Suggests values for an argument; `context.arguments` holds those already chosen. */
export type Completer = (
  value: string,
  context?: { arguments?: Record<string, string> },
) => string[] | Promise<string[]>;

/** How a tool is declared. */
export interface ToolOptions<Input, Output> extends Described {
  readonly description: string;
  /** Any Standard Schema with JSON Schema (zod 4, `fromJsonSchema`, …) of type object; absent: no arguments. */
  readonly input?: Input;
  /** Of type object; what the method returns then becomes `structuredContent`. */
  readonly output?: Output;
  readonly annotations?: ToolAnnotations;
}

/** How a resource with a fixed URI is declared. */
export interface ResourceOptions extends Described {
  readonly uri: string;
  readonly description?: string;
  readonly mimeType?: string;
  readonly annotations?: Annotations;
  /** HT-21; default: not cacheable. `public` answers are shared between Users. */
  readonly cache?: CacheHint;
}

/** How a family of resources is declared. */
export interface ResourceTemplateOptions extends Described {
  /** RFC 6570, for example `notes://{id}`. */
  readonly uriTemplate: string;
  readonly description?: string;
  readonly mimeType?: string;
  readonly annotations?: Annotations;
  readonly cache?: CacheHint;
  /** By variable. */
  readonly complete?: Readonly<Record<string, Completer>>;
}

/** How a prompt is declared. */
export interface PromptOptions<Input> extends Described {
  readonly description: string;
  readonly input?: Input;
  /** By argument. */
  readonly complete?: Readonly<Record<string, Completer>>;
}

/** What a decorated method is; read by the catalogue. */
export type HandlerDeclaration =
  | {
      readonly kind: 'tool';
      readonly options: ToolOptions<StandardSchemaWithJSON | undefined, StandardSchemaWithJSON | undefined>;
    }
  | { readonly kind: 'resource'; readonly options: ResourceOptions }
  | { readonly kind: 'template'; readonly options: ResourceTemplateOptions }
  | { readonly kind: 'prompt'; readonly options: PromptOptions<StandardSchemaWithJSON | undefined> };

/** Metadata key of a `HandlerDeclaration` on a method. */
export const HANDLER = 'gatehouse:handler';
/** Metadata key of the parameters of a method, in the shape Nest's `ExternalContextCreator` reads. */
export const PARAMETERS = 'gatehouse:parameters';
/** Metadata key of `ScopeDeclaration`s on a class. */
export const SCOPES = 'gatehouse:scopes';

/** What a parameter is filled with; keys of the `PARAMETERS` metadata begin with these numbers. */
export const ParameterType = { input: 0, caller: 1, call: 2, upstream: 3 } as const;

/**
 * A tool. The first parameter is the parsed input; others need `@Caller()`, `@Call()` or `@Upstream()`.
 * A method whose parameter or return value does not fit the schemas does not compile.
 */
export function Tool<
  Input extends StandardSchemaWithJSON | undefined = undefined,
  Output extends StandardSchemaWithJSON | undefined = undefined,
>(options: ToolOptions<Input, Output>): HandlerDecorator<Parsed<Input>, ToolReturn<Output>> {
  return declare({ kind: 'tool', options });
}

/** A resource at a fixed URI; the first parameter is that URI. */
export function Resource(options: ResourceOptions): HandlerDecorator<URL, ResourceReturn> {
  return declare({ kind: 'resource', options });
}

/** A family of resources; the first parameter is the variables, `@Call()` has the whole URI. */
export function ResourceTemplate(
  options: ResourceTemplateOptions,
): HandlerDecorator<TemplateVariables, ResourceReturn> {
  return declare({ kind: 'template', options });
}

/** A prompt; the first parameter is the parsed arguments. */
export function Prompt<Input extends StandardSchemaWithJSON | undefined = undefined>(
  options: PromptOptions<Input>,
): HandlerDecorator<Parsed<Input>, PromptReturn> {
  return declare({ kind: 'prompt', options });
}

/** The calling Principal. */
export function Caller(): ParameterDecorator {
  return parameter(ParameterType.caller);
}

/** The running call (`McpCall`): progress, log, cancellation, questions back to the client. */
export function Call(): ParameterDecorator {
  return parameter(ParameterType.call);
}

/** A fresh upstream token of the calling person (`UpstreamToken`), by provider id. */
export function Upstream(provider: string): ParameterDecorator {
  return parameter(ParameterType.upstream, provider);
}

/** Ids that `@Upstream()` names among the parameters of a method. */
export function injectedUpstreams(type: Type, method: string): string[] {
  const parameters = (Reflect.getMetadata(PARAMETERS, type, method) ?? {}) as Record<string, { data?: string }>;
  return Object.entries(parameters)
    .filter(([key]) => key.startsWith(`${ParameterType.upstream}:`))
    .map(([, { data }]) => String(data));
}

/** Declares scopes with the words of the consent page and what they imply; on a module or a provider class. */
export function Scopes(...scopes: readonly ScopeDeclaration[]): ClassDecorator {
  return (target) => Reflect.defineMetadata(SCOPES, scopes, target);
}

function declare(
  declaration: HandlerDeclaration,
): (target: object, key: string | symbol, descriptor: { value?: unknown }) => void {
  return (target, key, descriptor) => {
    Reflect.defineMetadata(HANDLER, declaration, descriptor.value as object);
    const known = parametersOf(target, key);
    if (!Object.values(known).some(({ index }) => index === 0)) setParameter(target, key, ParameterType.input, 0);
  };
}

function parameter(type: number, data?: string): ParameterDecorator {
  return (target, key, index) => {
    if (key !== undefined) setParameter(target, key, type, index, data);
  };
}

interface Parameter {
  readonly index: number;
  readonly data: string | undefined;
  readonly pipes: readonly [];
}

function parametersOf(target: object, key: string | symbol): Readonly<Record<string, Parameter>> {
  return (Reflect.getMetadata(PARAMETERS, target.constructor, key) as Record<string, Parameter> | undefined) ?? {};
}

function setParameter(target: object, key: string | symbol, type: number, index: number, data?: string): void {
  const parameters = { ...parametersOf(target, key), [`${type}:${index}`]: { index, data, pipes: [] } };
  Reflect.defineMetadata(PARAMETERS, parameters, target.constructor, key);
}
