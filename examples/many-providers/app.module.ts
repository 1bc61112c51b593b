import { Module } from '@nestjs/common';
import {
  authkit,
  GatehouseModule,
  github,
  google,
  introspection,
  jwt,
  oidc,
  remote,
  staticToken,
  workos,
} from '../../src/index.js';

/** Every way in at once, configured by code: four kinds of login, six of tokens, two instances of one kind. */
@Module({
  imports: [
    GatehouseModule.forRoot({
      publicUrl: 'https://mcp.acme.example',
      databaseUrl: 'sqlite::memory:',
      secret: ['dGhpcnR5LXR3byBieXRlcyBmb3IgdGhpcyBleGFtcGxlIQ=='],
      allow: ['google-domain:acme.example', 'github-org:acme', 'claim:groups=mcp'],
      providers: [
        google({ clientId: '123.apps.googleusercontent.com', clientSecret: 'from-your-vault' }),
        github({ clientId: 'Iv1.abc', clientSecret: 'from-your-vault' }),
        github(
          { clientId: 'Iv1.def', clientSecret: 'from-your-vault', baseUrl: 'https://github.acme.example' },
          'corp-hub',
        ),
        workos({ authkitDomain: 'https://acme.authkit.app', clientId: 'client_1', clientSecret: 'from-your-vault' }),
        oidc({
          issuer: 'https://id.acme.example/realms/acme',
          clientId: 'mcp',
          clientSecret: 'from-your-vault',
          label: 'Acme',
        }),
        staticToken({ tokens: { 'a-long-token-of-the-build-server': { client_id: 'build', scopes: ['mcp'] } } }),
        jwt({ jwksUri: 'https://issuer.acme.example/jwks', issuer: ['https://issuer.acme.example'] }),
        introspection({
          url: 'https://old.acme.example/introspect',
          clientId: 'mcp',
          clientSecret: 'from-your-vault',
          cacheTtl: '10s',
        }),
        authkit({ authkitDomain: 'https://acme.authkit.app' }),
        remote({ issuer: 'https://as.acme.example' }),
      ],
    }),
  ],
})
export class AppModule {}
