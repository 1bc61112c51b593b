import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { ScopeCatalogue, type ScopeDeclaration } from '../access/scope-catalogue.js';
import type { Principal } from '../providers/contract.js';
import { HANDLER, SCOPES, type Gate, type HandlerDeclaration } from './decorators.js';
import {
  promptEntry,
  resourceEntry,
  templateEntry,
  toolEntry,
  uriOf,
  type Entry,
  type PromptEntry,
  type ResourceEntry,
  type TemplateEntry,
  type ToolEntry,
} from './entries.js';
import { Handlers, type HandlerHost } from './handlers.js';
import { UpstreamNeeds } from './upstream-needs.js';

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
    private readonly upstreams: UpstreamNeeds,
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
    this.upstreams.declare(host.type, method, declaration);
    const entry: Entry = {
      name,
      origin,
      run: this.handlers.of(host, method, options.upstream),
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

function unique<E extends Entry>(entries: Map<string, E>, key: string, entry: E): void {
  const other = entries.get(key);
  if (other) throw new Error(`"${key}" is already declared by ${other.origin}`);
  entries.set(key, entry);
}
