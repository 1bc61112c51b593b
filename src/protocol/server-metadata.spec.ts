import { describe, expect, it } from 'vitest';
import { resourceMetadata, serverMetadata } from './server-metadata.js';

const facts = {
  publicUrl: 'https://mcp.example.com',
  scopes: ['mcp'],
  registration: true,
  clientIdDocuments: true,
};

describe('authorization server metadata', () => {
  it('AS-3, D5: every URL begins with the issuer, which has no trailing slash', () => {
    const document = serverMetadata(facts);
    expect(document['issuer']).toBe('https://mcp.example.com');
    for (const [name, value] of Object.entries(document))
      if (/_(endpoint|uri)$/.test(name)) expect(value).toMatch(/^https:\/\/mcp\.example\.com\/[a-z]+$/);
  });

  it('AS-4, AS-5, R6: says S256, iss, and the ways to authenticate', () => {
    expect(serverMetadata(facts)).toMatchObject({
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      client_id_metadata_document_supported: true,
      token_endpoint_auth_methods_supported: ['none', 'private_key_jwt', 'client_secret_basic', 'client_secret_post'],
    });
  });

  it('AS-17: lists no offline_access, and hides what is off', () => {
    const document = serverMetadata({ ...facts, registration: false, clientIdDocuments: false });
    expect(JSON.stringify(document)).not.toContain('offline_access');
    expect(document).not.toHaveProperty('registration_endpoint');
    expect(document).not.toHaveProperty('client_id_metadata_document_supported');
  });
});

describe('protected resource metadata', () => {
  it('RS-1: names the resource and its servers', () => {
    const document = resourceMetadata({
      resource: 'https://mcp.example.com/mcp',
      name: 'Gatehouse',
      authorizationServers: [facts.publicUrl],
      scopes: [],
      dpop: false,
    });
    expect(document).toMatchObject({
      resource: 'https://mcp.example.com/mcp',
      authorization_servers: [facts.publicUrl],
    });
    expect(document).not.toHaveProperty('scopes_supported');
  });
});
