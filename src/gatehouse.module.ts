import { type DynamicModule, Module } from '@nestjs/common';
import { AccessModule } from './access/access.module.js';
import { AccountModule } from './account/account.module.js';
import { AdminModule } from './admin/admin.module.js';
import { AuditModule } from './audit/audit.module.js';
import { ConfigModule } from './config/config.module.js';
import { type Environment, processEnvironment, readEnvironment } from './config/environment.js';
import { type Options, readOptions } from './config/options.js';
import type { Settings } from './config/settings.js';
import { OauthModule } from './oauth/oauth.module.js';
import { OpsModule } from './ops/ops.module.js';
import { McpModule } from './mcp/mcp.module.js';
import { OutboundModule } from './outbound/outbound.module.js';
import { PersistenceModule } from './persistence/persistence.module.js';
import { providerKinds } from './providers/providers.js';
import { ProvidersModule } from './providers/providers.module.js';

/** The house: every room once. Import it into a Nest application on the Fastify adapter. */
@Module({})
export class GatehouseModule {
  /**
   * Configured by `GATEHOUSE_…` variables (and a `.env` file in the working directory).
   * @throws ConfigurationError naming every faulty variable
   */
  static fromEnv(env: Environment = processEnvironment(), cwd: string = process.cwd()): DynamicModule {
    return GatehouseModule.with(readEnvironment(env, { cwd, kinds: providerKinds }).settings);
  }

  /**
   * Configured by code; keys are those of the environment in camelCase.
   * @throws ConfigurationError naming every faulty option
   */
  static forRoot(options: Options, cwd: string = process.cwd()): DynamicModule {
    return GatehouseModule.with(readOptions(options, { cwd, kinds: providerKinds }));
  }

  /** With settings that are already parsed. */
  static with(settings: Settings): DynamicModule {
    return {
      module: GatehouseModule,
      imports: [
        ConfigModule.with(settings),
        OutboundModule.with(),
        PersistenceModule,
        AuditModule,
        ProvidersModule,
        AccessModule,
        OauthModule.with(settings),
        ...(settings.hasLogin ? [AccountModule] : []),
        AdminModule,
        McpModule.at(settings),
        OpsModule,
      ],
    };
  }
}
