/** What `gatehouse/testing` offers to those who write a provider: fakes of upstreams and the suites every provider must pass. */
export { FakeServer, type FakeAnswer, type FakeRequest, type FakeRoute } from './testing/fake-server.js';
export { FakeGitHub, octocat, type FakeGitHubPerson } from './testing/fake-github.js';
export { FakeOidc, type FakeOidcPerson } from './testing/fake-oidc.js';
export { AUTHKIT_PATHS, GENERIC_PATHS, GOOGLE_PATHS, type FakeOidcPaths } from './testing/fake-oidc-paths.js';
export { testHouse, type TestHouse } from './testing/house.js';
export { CALLBACK, begin, signIn } from './testing/login-walk.js';
export { loginProviderCases } from './testing/login-provider-cases.js';
export { type ContractCase, type LoginFixture } from './testing/login-scenes.js';
export { tokenVerifierCases, type VerifierFixture, type VerifierSuite } from './testing/token-verifier-cases.js';
export { accessClaims, badJwts, BAD_JWTS } from './testing/foreign-tokens.js';
