// The package's entry: what an application that builds on Gatehouse may import.
export { GatehouseModule } from './gatehouse.module.js';
export { adapterOptions, createApp } from './create-app.js';
export type { Options } from './config/options.js';
export { defineProvider, LoginRefused, UpstreamGrantDead, UpstreamUnavailable } from './providers/contract.js';
export { OutboundFailed } from './outbound/outbound.js';
export type { Outbound, OutboundRequest, OutboundResponse } from './outbound/outbound.js';
export type {
  EndsUpstreamSessions,
  Identifies,
  Identity,
  LoginAsk,
  LoginProvider,
  NamesAuthorizationServers,
  Probes,
  ProviderKind,
  RefreshesUpstreamTokens,
  RevokesUpstreamTokens,
  Runs,
  Principal,
  ProviderChoice,
  ProviderHouse,
  TokenVerifier,
  UpstreamTokens,
} from './providers/contract.js';
export { github } from './providers/github/github.provider.js';
export { google } from './providers/google/google.provider.js';
export { oidc } from './providers/oidc/oidc.provider.js';
export { workos } from './providers/workos/workos.provider.js';
export { jwt } from './providers/jwt/jwt.verifier.js';
export { introspection } from './providers/introspection/introspection.verifier.js';
export { authkit } from './providers/remote/authkit.verifier.js';
export { remote } from './providers/remote/remote.verifier.js';
export { staticToken } from './providers/static-token/static-token.verifier.js';
export { Call, Caller, Prompt, Resource, ResourceTemplate, Scopes, Tool, Upstream } from './mcp/decorators.js';
export type { McpCall } from './mcp/call.js';
export type { TemplateVariables } from './mcp/handler-types.js';
export { Changes } from './mcp/changes.js';
export { ToolError } from './mcp/tool-error.js';
export { UpstreamRefused } from './providers/upstream-tokens.js';
export type { UpstreamToken } from './providers/upstream-tokens.js';
export { acceptedContent, fromJsonSchema, inputRequired, inputResponse } from '@modelcontextprotocol/server';
export type { CallToolResult, InputRequiredResult } from '@modelcontextprotocol/server';
