interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly default?: unknown;
}

/** A JSON Schema in a few words, as a person reads it: `integer, 1 to 200, default 50`, `active | blocked`, `list of text or null`. */
export function schemaWords(schema: unknown): string {
  const given = schema as Schema;
  return [kindOf(given), limitsOf(given), given.default === undefined ? '' : `default ${JSON.stringify(given.default)}`]
    .filter((part) => part !== '')
    .join(', ');
}

function kindOf({ $ref, type, format, enum: values, anyOf, items, properties, required = [] }: Schema): string {
  if ($ref !== undefined) return $ref.split('/').at(-1)!;
  if (anyOf) return [...new Set(anyOf.map(kindOf))].join(' or ');
  if (values) return values.map(String).join(' | ');
  if (typeof type === 'object') return type.map((one) => kindOf({ type: one })).join(' or ');
  if (items) return `list of ${kindOf(items)}`;
  if (properties)
    return `{ ${Object.entries(properties)
      .map(([name, one]) => `${name}${required.includes(name) ? '' : '?'}: ${kindOf(one)}`)
      .join(', ')} }`;
  if (format !== undefined) return FORMATS[format] ?? format;
  return type === 'string' ? 'text' : (type ?? 'anything');
}

const FORMATS: Readonly<Record<string, string>> = { 'date-time': 'time (RFC 3339)', date: 'date' };

function limitsOf({ minimum, maximum, maxLength, maxItems }: Schema): string {
  if (maxLength !== undefined) return `at most ${maxLength} characters`;
  if (maxItems !== undefined) return `at most ${maxItems}`;
  // An integer without a limit has the limits of its type.
  if (minimum === undefined || maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER) return '';
  return `${minimum} to ${maximum}`;
}
