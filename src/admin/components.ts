import { z } from 'zod';

/** Names of the schemas that the OpenAPI document keeps as components. */
export const components = z.registry<{ id: string }>();

/** A schema with a name in the document. */
export function component<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  components.add(schema, { id });
  return schema;
}
