import type {
  CallToolResult,
  GetPromptResult,
  InputRequiredResult,
  PromptMessage,
  ReadResourceResult,
  StandardSchemaWithJSON,
} from '@modelcontextprotocol/server';

/** What a handler gets when its schema is `Schema`; an empty object when it has none. */
export type Parsed<Schema> = Schema extends StandardSchemaWithJSON
  ? StandardSchemaWithJSON.InferOutput<Schema>
  : Readonly<Record<string, never>>;

/** What a tool may return: text, a full result, a question back to the client or nothing; with an output schema, what fits it. */
export type ToolReturn<Output> =
  | string
  | CallToolResult
  | InputRequiredResult
  | void
  | (Output extends StandardSchemaWithJSON ? StandardSchemaWithJSON.InferInput<Output> : never);

/** What a resource may return: text, bytes, a full result or a question back to the client. */
export type ResourceReturn = string | Uint8Array | ReadResourceResult | InputRequiredResult;

/** What a prompt may return: one text of the user, messages, a full result or a question back to the client. */
export type PromptReturn = string | PromptMessage[] | GetPromptResult | InputRequiredResult;

/** Variables of a URI template; explode modifiers (`{path*}`) give lists. */
export type TemplateVariables = Readonly<Record<string, string | string[]>>;

/** A method that may be decorated: the first parameter is the input, the others are decorated. */
export type HandlerMethod = (...args: never[]) => unknown;

interface ArgumentMisfit<Input> {
  'the first parameter does not fit the schema, which gives': Input;
}
interface ReturnMisfit<Allowed> {
  'the method may return only': Allowed;
}

/**
 * `unknown` when `Method` takes `Input` first and returns `Allowed` (or a promise of it); otherwise a shape that no method has,
 * so that the decorator does not compile. `infer` is used because methods are compared bivariantly, which would let too narrow parameters pass.
 */
export type Fits<Method, Input, Allowed> = Method extends (...args: infer Args) => infer Returned
  ? Args extends [infer First, ...unknown[]]
    ? [Input] extends [First]
      ? FitsReturn<Returned, Allowed>
      : ArgumentMisfit<Input>
    : FitsReturn<Returned, Allowed>
  : never;

type FitsReturn<Returned, Allowed> = [Awaited<Returned>] extends [Allowed] ? unknown : ReturnMisfit<Allowed>;

/** A method decorator that compiles only on a method that takes `Input` and returns `Allowed`. */
export type HandlerDecorator<Input, Allowed> = <Method extends HandlerMethod>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<Method> & Fits<Method, Input, Allowed>,
) => void;
