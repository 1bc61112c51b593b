import 'reflect-metadata';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { UpstreamToken } from '../providers/upstream-tokens.js';
import type { Principal } from '../providers/contract.js';
import type { McpCall } from './call.js';
import {
  Call,
  Caller,
  HANDLER,
  PARAMETERS,
  ParameterType,
  Prompt,
  Resource,
  ResourceTemplate,
  Tool,
  Upstream,
} from './decorators.js';

const input = z.object({ name: z.string(), times: z.number().default(1) });
const output = z.object({ count: z.number() });

/** Compiles only while every line that must not compile does not; the type-check of the project is the test. */
class Declared {
  @Tool({ description: 'fits', input, output })
  fits({ times }: { name: string; times: number }, @Caller() who: Principal, @Call() call: McpCall): { count: number } {
    return { count: who === call.principal ? times : 0 };
  }

  @Tool({ description: 'takes less than there is', input })
  less({ name }: { name: string }): string {
    return name;
  }

  @Tool({ description: 'takes nothing' })
  none(): void {}

  @Tool({ description: 'asks for an upstream token' })
  async upstream(_: object, @Upstream('github') token: UpstreamToken): Promise<string> {
    return token.provider;
  }

  // @ts-expect-error the schema gives a string
  @Tool({ description: 'wrong type', input })
  wrongType({ name }: { name: number }): string {
    return String(name);
  }

  // @ts-expect-error the schema gives no such member
  @Tool({ description: 'wants more than there is', input })
  wantsMore({ missing }: { name: string; missing: string }): string {
    return missing;
  }

  // @ts-expect-error there is no schema, so there are no arguments
  @Tool({ description: 'no schema' })
  noSchema({ name }: { name: string }): string {
    return name;
  }

  // @ts-expect-error the output schema wants a number
  @Tool({ description: 'wrong result', output })
  wrongResult(): { count: string } {
    return { count: '' };
  }

  // @ts-expect-error an object needs an output schema
  @Tool({ description: 'undeclared result' })
  undeclared(): { anything: number } {
    return { anything: 1 };
  }

  @Resource({ uri: 'test://a' })
  resource(uri: URL): string {
    return uri.href;
  }

  // @ts-expect-error a resource gets its URI
  @Resource({ uri: 'test://b' })
  wrongResource(uri: string): string {
    return uri;
  }

  @ResourceTemplate({ uriTemplate: 'test://{id}' })
  template({ id }: Readonly<Record<string, string | string[]>>): string {
    return String(id);
  }

  @Prompt({ description: 'fits', input: z.object({ topic: z.string() }) })
  prompt({ topic }: { topic: string }): string {
    return topic;
  }

  // @ts-expect-error a prompt gives text or messages
  @Prompt({ description: 'wrong result' })
  wrongPrompt(): number {
    return 1;
  }
}

describe('decorators', () => {
  it('note what a method is', () => {
    const prototype = Declared.prototype as unknown as Record<string, object>;
    expect(Reflect.getMetadata(HANDLER, prototype['less']!)).toMatchObject({ kind: 'tool' });
    expect(Reflect.getMetadata(HANDLER, prototype['template']!)).toMatchObject({
      kind: 'template',
      options: { uriTemplate: 'test://{id}' },
    });
  });

  it('note what each parameter is filled with', () => {
    expect(Reflect.getMetadata(PARAMETERS, Declared, 'upstream')).toEqual({
      [`${ParameterType.upstream}:1`]: { index: 1, data: 'github', pipes: [] },
      [`${ParameterType.input}:0`]: { index: 0, data: undefined, pipes: [] },
    });
  });
});
