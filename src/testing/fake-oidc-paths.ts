/** Where the fake answers. */
export interface FakeOidcPaths {
  readonly authorize: string;
  readonly token: string;
  readonly userinfo: string;
  readonly jwks: string;
  readonly introspect: string;
  readonly revoke: string;
  readonly endSession: string;
}

/** The generic layout. */
export const GENERIC_PATHS: FakeOidcPaths = {
  authorize: '/authorize',
  token: '/token',
  userinfo: '/userinfo',
  jwks: '/jwks',
  introspect: '/introspect',
  revoke: '/revoke',
  endSession: '/logout',
};
/** Google's layout. */
export const GOOGLE_PATHS: FakeOidcPaths = {
  ...GENERIC_PATHS,
  authorize: '/o/oauth2/v2/auth',
  userinfo: '/v1/userinfo',
};
/** The layout of a WorkOS AuthKit domain. */
export const AUTHKIT_PATHS: FakeOidcPaths = {
  authorize: '/oauth2/authorize',
  token: '/oauth2/token',
  userinfo: '/oauth2/userinfo',
  jwks: '/oauth2/jwks',
  introspect: '/oauth2/introspection',
  revoke: '/oauth2/revoke',
  endSession: '/oauth2/logout',
};
