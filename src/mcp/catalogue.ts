import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { type Icon, type Tool as ListedTool, UriTemplate } from '@modelcontextprotocol/server';
import { ScopeCatalogue, type ScopeDeclaration } from '../access/scope-catalogue.js';
import type { Principal } from '../providers/contract.js';
import { UpstreamScopes } from '../providers/upstream-scopes.js';
import { HANDLER, SCOPES, type Completer, type Gate, type HandlerDeclaration } from './decorators.js';
import { Handlers, type Handler, type HandlerHost } from './handlers.js';
import { compileSchema, headerArguments, type CompiledSchema } from './schemas.js';

interface Entry extends Gate {
  readonly name: string;
  /** `Class.method`, for messages. */
  readonly origin: string;
  readonly run: Handler;
}

/** A tool, ready to be listed and called. */
export interface ToolEntry extends Entry {
  readonly input: CompiledSchema;
  readonly output: CompiledSchema | null;
  readonly listed: ListedTool;
}

/** A resource with a fixed URI. */
export interface ResourceEntry extends Entry {
  readonly uri: string;
  readonly listed: Listed & { uri: string };
  readonly mimeType: string | undefined;
  readonly cache: { ttlMs?: number; cacheScope?: 'public' | 'private' } | undefined;
}

/** A family of resources. */
export interface TemplateEntry extends Entry {
  readonly template: UriTemplate;
  readonly listed: Listed & { uriTemplate: string };
  readonly mimeType: string | undefined;
  readonly cache: ResourceEntry['cache'];
  readonly complete: Readonly<Record<string, Completer>>;
}

/** A prompt. */
export interface PromptEntry extends Entry {
  readonly input: CompiledSchema;
  readonly listed: Listed & { arguments?: { name: string; description?: string; required?: boolean }[] };
  readonly complete: Readonly<Record<string, Completer>>;
}

interface Listed {
  [key: string]: unknown;
  name: string;
  title?: string;
  description?: string;
  icons?: Icon[];
}

/** What a URI stands for. */
export type ReadTarget =
  | { readonly entry: ResourceEntry; readonly variables: null }
  | { readonly entry: TemplateEntry; readonly variables: Readonly<Record<string, string | string[]>> };

const NAME = /^[A-Za-z0-9_.-]{1,128}$/;

/** Every tool, resource and prompt there is, found at boot in plain `@Injectable` classes. */
@Injectable()
export class Catalogue implements OnModuleInit {
  readonly tools = new Map<string, ToolEntry>();
  readonly resources = new Map<string, ResourceEntry>();
  readonly templates = new Map<string, TemplateEntry>();
  readonly prompts = new Map<string, PromptEntry>();
  readonly #faults: string[] = [];

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly handlers: Handlers,
    private readonly scopes: ScopeCatalogue,
    private readonly upstreamScopes: UpstreamScopes,
  ) {}

  /** @throws Error that names every faulty declaration */
  onModuleInit(): void {
    const seen = new Set<unknown>();
    for (const wrapper of this.discovery.getProviders()) {
      const host = this.handlers.hostOf(wrapper);
      if (!host || seen.has(host.type)) continue;
      seen.add(host.type);
      const declared = (Reflect.getMetadata(SCOPES, host.type) ?? []) as readonly ScopeDeclaration[];
      for (const scope of declared) this.scopes.declare(scope);
      for (const method of this.scanner.getAllMethodNames(host.type.prototype as object)) this.#add(host, method);
    }
    for (const module of this.handlers.moduleTypes()) {
      const declared = (Reflect.getMetadata(SCOPES, module) ?? []) as readonly ScopeDeclaration[];
      for (const scope of declared) this.scopes.declare(scope);
    }
    if (this.#faults.length > 0) throw new Error(`MCP declarations are faulty:\n  ${this.#faults.join('\n  ')}`);
    for (const { scopes } of this.#all())
      for (const name of scopes ?? []) this.scopes.declare({ name, words: this.scopes.words(name) });
  }

  /** May this Principal see and use it? Missing roles hide it, missing scopes can be asked for. */
  verdict(principal: Principal, gate: Gate): 'yes' | 'scopes missing' | 'hidden' {
    if (gate.roles && !gate.roles.some((role) => principal.roles.includes(role))) return 'hidden';
    if (gate.scopes && this.scopes.missing(principal.scopes, gate.scopes).length > 0) return 'scopes missing';
    return 'yes';
  }

  /** Those entries that this Principal may use, in the order of declaration. */
  visible<E extends Entry>(principal: Principal, entries: ReadonlyMap<string, E>): E[] {
    return [...entries.values()].filter((entry) => this.verdict(principal, entry) === 'yes');
  }

  /** The resource or template that serves a URI. null: none. */
  readTarget(uri: string): ReadTarget | null {
    const resource = this.resources.get(uri);
    if (resource) return { entry: resource, variables: null };
    for (const entry of this.templates.values()) {
      const variables = entry.template.match(uri);
      if (variables) return { entry, variables };
    }
    return null;
  }

  #all(): Entry[] {
    return [...this.tools.values(), ...this.resources.values(), ...this.templates.values(), ...this.prompts.values()];
  }

  #add(host: HandlerHost, method: string): void {
    const prototype = host.type.prototype as Record<string, object>;
    const declaration = Reflect.getMetadata(HANDLER, prototype[method]!) as HandlerDeclaration | undefined;
    if (!declaration) return;
    const origin = `${host.type.name}.${method}`;
    const { options } = declaration;
    const name = options.name ?? method;
    for (const [provider, scopes] of Object.entries(options.upstream ?? {}))
      this.upstreamScopes.declare(provider, scopes);
    const entry: Entry = {
      name,
      origin,
      run: this.handlers.of(host, method),
      ...(options.scopes && options.scopes.length > 0 ? { scopes: options.scopes } : {}),
      ...(options.roles && options.roles.length > 0 ? { roles: options.roles } : {}),
    };
    try {
      if ((declaration.kind === 'tool' || declaration.kind === 'prompt') && !NAME.test(name))
        throw new Error(`the name "${name}" must be 1 to 128 characters of A-Z a-z 0-9 _ . -`);
      switch (declaration.kind) {
        case 'tool':
          return unique(this.tools, name, toolEntry(entry, declaration.options));
        case 'resource':
          return unique(this.resources, uriOf(declaration.options.uri), resourceEntry(entry, declaration.options));
        case 'template':
          return unique(this.templates, declaration.options.uriTemplate, templateEntry(entry, declaration.options));
        case 'prompt':
          return unique(this.prompts, name, promptEntry(entry, declaration.options));
      }
    } catch (error) {
      this.#faults.push(`${origin}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

type OptionsOf<Kind extends HandlerDeclaration['kind']> = Extract<HandlerDeclaration, { kind: Kind }>['options'];

function unique<E extends Entry>(entries: Map<string, E>, key: string, entry: E): void {
  const other = entries.get(key);
  if (other) throw new Error(`"${key}" is already declared by ${other.origin}`);
  entries.set(key, entry);
}

function toolEntry(entry: Entry, options: OptionsOf<'tool'>): ToolEntry {
  const input = compileSchema(options.input, 'input');
  headerArguments(input.json);
  const output = options.output ? compileSchema(options.output, 'output') : null;
  const meta = { ...options.meta, securitySchemes: [{ type: 'oauth2', scopes: [...(entry.scopes ?? [])] }] };
  const listed: ListedTool = {
    ...common(entry, options),
    inputSchema: input.json as ListedTool['inputSchema'],
    ...(output ? { outputSchema: output.json } : {}),
    ...(options.annotations ? { annotations: options.annotations } : {}),
    _meta: meta,
  };
  return { ...entry, input, output, listed };
}

function resourceEntry(entry: Entry, options: OptionsOf<'resource'>): ResourceEntry {
  const uri = uriOf(options.uri);
  return {
    ...entry,
    uri,
    listed: { uri, ...resourceListed(entry, options) },
    mimeType: options.mimeType,
    cache: options.cache,
  };
}

function templateEntry(entry: Entry, options: OptionsOf<'template'>): TemplateEntry {
  const template = new UriTemplate(options.uriTemplate);
  return {
    ...entry,
    template,
    listed: { uriTemplate: options.uriTemplate, ...resourceListed(entry, options) },
    mimeType: options.mimeType,
    cache: options.cache,
    complete: completers(options.complete, template.variableNames, 'variable'),
  };
}

function promptEntry(entry: Entry, options: OptionsOf<'prompt'>): PromptEntry {
  const input = compileSchema(options.input, 'input');
  const properties = Object.entries(input.json.properties ?? {});
  const names = properties.map(([name]) => name);
  const listedArguments = properties.map(([name, schema]) => ({
    name,
    ...(typeof schema['description'] === 'string' ? { description: schema['description'] } : {}),
    required: input.json.required?.includes(name) ?? false,
  }));
  return {
    ...entry,
    input,
    listed: {
      ...common(entry, options),
      ...(listedArguments.length > 0 ? { arguments: listedArguments } : {}),
      ...(options.meta ? { _meta: options.meta } : {}),
    },
    complete: completers(options.complete, names, 'argument'),
  };
}

function completers(
  complete: Readonly<Record<string, Completer>> | undefined,
  names: readonly string[],
  what: string,
): Readonly<Record<string, Completer>> {
  for (const name of Object.keys(complete ?? {}))
    if (!names.includes(name)) throw new Error(`complete names ${name}, which is no ${what}`);
  return complete ?? {};
}

function resourceListed(entry: Entry, options: OptionsOf<'resource'> | OptionsOf<'template'>): Listed {
  return {
    ...common(entry, options),
    ...(options.mimeType ? { mimeType: options.mimeType } : {}),
    ...(options.annotations ? { annotations: options.annotations } : {}),
    ...(options.meta ? { _meta: options.meta } : {}),
  };
}

function common(entry: Entry, options: { title?: string; description?: string; icons?: Icon[] }): Listed {
  return {
    name: entry.name,
    ...(options.title ? { title: options.title } : {}),
    ...(options.description ? { description: options.description } : {}),
    ...(options.icons ? { icons: options.icons } : {}),
  };
}

function uriOf(uri: string): string {
  if (!URL.canParse(uri)) throw new Error(`"${uri}" is no URI`);
  return new URL(uri).toString();
}
