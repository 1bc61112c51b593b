import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Caller, Tool } from '../mcp/decorators.js';
import type { Principal } from '../providers/contract.js';

const whoamiResult = z.object({
  user: z.string().nullable().describe('Id of the person; null for tokens that belong to nobody here'),
  name: z.string().nullable(),
  email: z.string().nullable(),
  client: z.string().describe('The MCP client application'),
  scopes: z.array(z.string()),
  via: z.string().describe('How the caller was identified'),
});

/** The tools every Gatehouse has, for a first call. */
@Injectable()
export class ShippedTools {
  @Tool({
    description: 'Says hello',
    input: z.object({ name: z.string().describe('Whom to greet') }),
    annotations: { readOnlyHint: true, openWorldHint: false },
  })
  hello({ name }: { name: string }): string {
    return `hello, ${name}`;
  }

  @Tool({
    description: 'Tells who is calling, as the server sees it',
    output: whoamiResult,
    annotations: { readOnlyHint: true, openWorldHint: false },
  })
  whoami(_: object, @Caller() caller: Principal): z.input<typeof whoamiResult> {
    return {
      user: caller.user?.id ?? null,
      name: caller.user?.name ?? null,
      email: caller.user?.email ?? null,
      client: caller.client,
      scopes: [...caller.scopes],
      via: caller.via,
    };
  }
}
