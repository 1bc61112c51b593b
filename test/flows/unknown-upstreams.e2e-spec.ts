import { Injectable } from '@nestjs/common';
import { afterEach, describe, expect, it } from 'vitest';
import { Prompt, Tool, Upstream, type UpstreamToken } from '../../src/index.js';
import { type RunningGatehouse, startGatehouse, TOKEN } from '../gatehouse.js';
import { callTool } from '../oauth-client.js';

@Injectable()
class WantingTools {
  @Tool({ description: 'Names a provider that is not on', upstream: { gogle: ['calendar.readonly'] } })
  declared(): string {
    return 'works all the same';
  }

  @Tool({ name: 'injected-one', description: 'Wants a token of a provider that is not on' })
  injected(_: unknown, @Upstream('gogle') token: UpstreamToken): string {
    return token.provider;
  }

  @Prompt({ description: 'Wants a token of a provider that is on' })
  fine(_: unknown, @Upstream('google') token: UpstreamToken): string {
    return token.provider;
  }

  @Tool({ description: 'Wants a token of a verifier, which has none', upstream: { 'static-token': ['x'] } })
  verifier(): string {
    return '';
  }
}

describe('tools that name an upstream nobody can sign in with here', () => {
  let gatehouse: RunningGatehouse;
  afterEach(() => gatehouse.close());
  const start = async (env: Record<string, string>): Promise<string[]> => {
    gatehouse = await startGatehouse({ env, tools: [WantingTools] });
    return gatehouse.logs.filter((line) => line.includes('wants tokens of'));
  };
  const google = {
    GATEHOUSE_PROVIDERS: 'google,static-token',
    GATEHOUSE_GOOGLE_CLIENT_ID: 'a',
    GATEHOUSE_GOOGLE_CLIENT_SECRET: 'b',
  };

  it('are told of at the start: tool, id and near miss; those that are on are not', async () => {
    const warnings = await start(google);
    expect(warnings).toHaveLength(3);
    expect(warnings[0]).toMatch(
      /the tool declared \(WantingTools\.declared\) wants tokens of "gogle".*did you mean "google"\?/,
    );
    expect(warnings[1]).toMatch(/the tool injected-one \(WantingTools\.injected\) wants tokens of "gogle"/);
    expect(warnings[2]).toMatch(/"static-token", and no login provider is on under this id \(there are google\)/);
  });

  it('are told of where there is no login provider at all', async () => {
    const warnings = await start({});
    expect(warnings).toHaveLength(4);
    expect(warnings[0]).toContain('there is none at all');
  });

  it.each([
    ['no login provider', {}],
    ['another login provider', google],
  ])('say at the call that it cannot work with %s, unmasked; a declaration alone stops nothing', async (_, env) => {
    await start(env);
    const refused = await (await callTool(gatehouse.mcpUrl, TOKEN, 'injected-one')).text();
    expect(refused).toMatch(/"isError":true/);
    expect(refused).toMatch(/needs a sign-in with \\"gogle\\", which is not enabled on this server/);
    expect(await (await callTool(gatehouse.mcpUrl, TOKEN, 'declared')).text()).toContain('works all the same');
  });
});
