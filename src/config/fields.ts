import { z } from 'zod';

/** One setting of a schema, with what the documentation and the reader of the environment need to know of it. */
export interface Field {
  /** camelCase. */
  readonly key: string;
  /** Never shown; has a `_FILE` form. */
  readonly secret: boolean;
  /** Undefined: the schema has no description. */
  readonly description: string | undefined;
  /** As an operator would write it; undefined: no default. */
  readonly fallback: string | undefined;
  readonly optional: boolean;
}

/** The fields of an object schema, through refinements and transforms; none for any other schema. */
export function fieldsOf(schema: z.ZodType): Field[] {
  const object = innermost(schema);
  if (!(object instanceof z.ZodObject)) return [];
  return Object.entries(object.shape).map(([key, value]) => {
    const layers = layersOf(value as z.ZodType);
    const metas = layers.map((layer) => z.globalRegistry.get(layer) ?? {});
    const fallback = layers.find((layer) => layer instanceof z.ZodDefault || layer instanceof z.ZodPrefault);
    return {
      key,
      secret: metas.some((meta) => meta['secret'] === true),
      description: metas.find((meta) => meta.description !== undefined)?.description,
      fallback: fallback && written((fallback.def as { defaultValue: unknown }).defaultValue),
      optional: layers.some((layer) => layer instanceof z.ZodOptional) || fallback !== undefined,
    };
  });
}

/** The fields of an object schema that can be read, each by itself, where zod gives nothing as soon as one is faulty; `without`: keys not to be read. */
export function readableFields<Schema extends z.ZodType>(
  schema: Schema,
  input: Readonly<Record<string, unknown>>,
  without: ReadonlySet<string> = new Set(),
): Partial<z.output<Schema>> {
  const object = innermost(schema);
  const shape = object instanceof z.ZodObject ? object.shape : {};
  const readable = Object.entries(shape).flatMap(([key, field]) => {
    const result = without.has(key) ? null : z.safeParse(field, input[key]);
    return result?.success && result.data !== undefined ? [[key, result.data]] : [];
  });
  return Object.fromEntries(readable) as Partial<z.output<Schema>>;
}

/** `mcpPath` → `MCP_PATH`. */
export function screamingSnake(key: string): string {
  return key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
}

/** The environment's name of a setting outside the providers. */
export function settingName(key: string): string {
  return `GATEHOUSE_${screamingSnake(key)}`;
}

/** The environment's name of a provider instance's setting: (`corp-hub`, `clientId`) → `GATEHOUSE_CORP_HUB_CLIENT_ID`. */
export function providerSettingName(id: string, key: string): string {
  return `GATEHOUSE_${id.replaceAll('-', '_').toUpperCase()}_${screamingSnake(key)}`;
}

function innermost(schema: z.ZodType): z.ZodType {
  return layersOf(schema).at(-1) ?? schema;
}

/** The schema and what it wraps, outermost first; a pipe is followed to its input. */
function layersOf(schema: z.ZodType): z.ZodType[] {
  if (schema instanceof z.ZodPipe) return [schema, ...layersOf(schema.in as z.ZodType)];
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodReadonly
  )
    return [schema, ...layersOf(schema.def.innerType as z.ZodType)];
  return [schema];
}

function written(value: unknown): string | undefined {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value)) return value.length ? value.join(' ') : undefined;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}
