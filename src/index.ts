// The package's entry: what an application that builds on Gatehouse may import.
export { GatehouseModule } from './gatehouse.module.js';
export { adapterOptions, createApp } from './create-app.js';
export type { Options } from './config/options.js';
export { defineProvider, LoginRefused, UpstreamGrantDead, UpstreamUnavailable } from './providers/contract.js';
export type {
  Identity,
  LoginProvider,
  Principal,
  ProviderChoice,
  ProviderHouse,
  TokenVerifier,
  UpstreamTokens,
} from './providers/contract.js';
export { staticToken } from './providers/static-token/static-token.verifier.js';
