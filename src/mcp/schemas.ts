import type { StandardSchemaWithJSON } from '@modelcontextprotocol/server';

/** A JSON Schema of type object, as MCP wants it. */
export interface ObjectSchema extends Record<string, unknown> {
  readonly type: 'object';
  readonly properties?: Record<string, Record<string, unknown>>;
  readonly required?: string[];
}

/** A schema with its JSON form, which is made once: converting for each request costs more than the call. */
export interface CompiledSchema {
  readonly json: ObjectSchema;
  /** The parsed value, or what is wrong in one line. */
  parse(value: unknown): Promise<{ value: unknown } | { fault: string }>;
}

const DIALECT = 'draft-2020-12';
const EMPTY: ObjectSchema = { type: 'object', properties: {}, additionalProperties: false };

/**
 * Converts at boot.
 * @throws Error when the schema is not of type object or cannot be converted
 */
export function compileSchema(schema: StandardSchemaWithJSON | undefined, side: 'input' | 'output'): CompiledSchema {
  if (!schema) return { json: EMPTY, parse: (value) => Promise.resolve({ value: isRecord(value) ? value : {} }) };
  const standard = schema['~standard'];
  if (typeof standard?.jsonSchema?.[side] !== 'function')
    throw new Error(`the ${side} schema has no JSON Schema form: use zod 4.2 or newer, or fromJsonSchema`);
  const json = standard.jsonSchema[side]({ target: DIALECT });
  if (!isObjectSchema(json)) throw new Error(`the ${side} schema must be of type object, not ${String(json['type'])}`);
  const network = networkReference(json);
  if (network !== null)
    throw new Error(`the ${side} schema refers to ${network}: schemas from the network are never fetched`);
  return {
    json,
    parse: async (value) => {
      const result = await standard.validate(value ?? {});
      return result.issues ? { fault: result.issues.map(described).join('; ') } : { value: result.value };
    },
  };
}

/** An argument that clients repeat in an HTTP header (HT-8). */
export interface HeaderArgument {
  readonly header: string;
  readonly path: readonly string[];
}

/**
 * The `x-mcp-header` arguments of an input schema.
 * @throws Error when a declaration breaks HT-9: clients would silently drop the tool
 */
export function headerArguments(schema: ObjectSchema): HeaderArgument[] {
  const found: HeaderArgument[] = [];
  collectHeaders(schema, [], found);
  const declared = JSON.stringify(schema).split('"x-mcp-header":').length - 1;
  if (declared !== found.length)
    throw new Error('x-mcp-header belongs only on arguments that are reached through properties alone');
  const names = new Set(found.map(({ header }) => header.toLowerCase()));
  if (names.size !== found.length) throw new Error('two arguments have the same x-mcp-header name');
  return found;
}

function collectHeaders(schema: Record<string, unknown>, path: readonly string[], found: HeaderArgument[]): void {
  const properties = schema['properties'];
  if (!isRecord(properties)) return;
  for (const [name, property] of Object.entries(properties)) {
    if (!isRecord(property)) continue;
    const here = [...path, name];
    const header = property['x-mcp-header'];
    if (header !== undefined) {
      if (typeof header !== 'string' || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header))
        throw new Error(`x-mcp-header of ${here.join('.')} must be a header name (RFC 9110 token)`);
      if (!['string', 'integer', 'boolean'].includes(String(property['type'])))
        throw new Error(`x-mcp-header of ${here.join('.')} wants a string, an integer or a boolean`);
      found.push({ header, path: here });
    }
    collectHeaders(property, here, found);
  }
}

function networkReference(json: unknown): string | null {
  if (!json || typeof json !== 'object') return null;
  for (const [key, value] of Object.entries(json)) {
    if (key === '$ref' && typeof value === 'string' && /^[a-z][a-z0-9+.-]*:/i.test(value)) return value;
    const inside = networkReference(value);
    if (inside !== null) return inside;
  }
  return null;
}

function described(issue: { message: string; path?: readonly unknown[] | undefined }): string {
  const path = (issue.path ?? []).map((part) => (isRecord(part) ? String(part['key']) : String(part))).join('.');
  return path ? `${path}: ${issue.message}` : issue.message;
}

function isObjectSchema(json: Record<string, unknown>): json is ObjectSchema {
  return json['type'] === 'object';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
