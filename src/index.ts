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
export { Call, Caller, Prompt, Resource, ResourceTemplate, Scopes, Tool, Upstream } from './mcp/decorators.js';
export type { McpCall } from './mcp/call.js';
export { Changes } from './mcp/changes.js';
export { ToolError } from './mcp/tool-error.js';
export type { UpstreamToken } from './providers/upstream-tokens.js';
export { acceptedContent, fromJsonSchema, inputRequired, inputResponse } from '@modelcontextprotocol/server';
export type { CallToolResult, InputRequiredResult } from '@modelcontextprotocol/server';
