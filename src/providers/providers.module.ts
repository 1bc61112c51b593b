import { Global, Logger, Module } from '@nestjs/common';
import { Settings } from '../config/settings.js';
import { OUTBOUND } from '../outbound/http-outbound.js';
import type { Outbound } from '../outbound/outbound.js';
import { Providers } from './providers.js';
import { UpstreamScopes } from './upstream-scopes.js';

/** The enabled providers, built from their settings. */
@Global()
@Module({
  providers: [
    UpstreamScopes,
    {
      provide: Providers,
      inject: [Settings, OUTBOUND],
      useFactory: (settings: Settings, outbound: Outbound) =>
        new Providers(settings.providers, {
          outbound,
          publicUrl: settings.publicUrl,
          mcpUrl: settings.mcpUrl,
          ruleKinds: new Set([...settings.allow, ...settings.values.admins].map(({ kind }) => kind)),
          cwd: settings.cwd,
          log: new Logger('Providers'),
          now: () => performance.now() / 1000,
        }),
    },
  ],
  exports: [Providers, UpstreamScopes],
})
export class ProvidersModule {}
