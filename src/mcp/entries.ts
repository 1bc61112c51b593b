import type { Icon, Tool as ListedTool } from '@modelcontextprotocol/server';
import type { Completer, Gate, HandlerDeclaration } from './decorators.js';
import type { Handler } from './handlers.js';
import { compileSchema, headerArguments, type CompiledSchema } from './schemas.js';
import { UriTemplate } from './uri-template.js';

/** What a declaration becomes at boot: who may use it, what runs, and how it is listed. */
export interface Entry extends Gate {
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

/** What all lists say of an entry. */
interface Listed {
  [key: string]: unknown;
  name: string;
  title?: string;
  description?: string;
  icons?: Icon[];
}

type OptionsOf<Kind extends HandlerDeclaration['kind']> = Extract<HandlerDeclaration, { kind: Kind }>['options'];

/** A tool of a method. @throws Error a schema that cannot be published, or an argument that cannot be a header */
export function toolEntry(entry: Entry, options: OptionsOf<'tool'>): ToolEntry {
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

/** A resource of a method. @throws Error no URI */
export function resourceEntry(entry: Entry, options: OptionsOf<'resource'>): ResourceEntry {
  const uri = uriOf(options.uri);
  return {
    ...entry,
    uri,
    listed: { uri, ...resourceListed(entry, options) },
    mimeType: options.mimeType,
    cache: options.cache,
  };
}

/** A resource template of a method. @throws Error a completion for something that is no variable */
export function templateEntry(entry: Entry, options: OptionsOf<'template'>): TemplateEntry {
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

/** A prompt of a method. @throws Error a completion for something that is no argument */
export function promptEntry(entry: Entry, options: OptionsOf<'prompt'>): PromptEntry {
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

/** The URI in its normal form. @throws Error it is none */
export function uriOf(uri: string): string {
  if (!URL.canParse(uri)) throw new Error(`"${uri}" is no URI`);
  return new URL(uri).toString();
}
