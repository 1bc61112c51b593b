// The walls of the house, and their test: `npm run check:walls`.
const room = (name) => `^src/${name}/`;
const TESTS = '(\\.spec|\\.e2e-spec)\\.ts$|^test/|^src/testing';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or miss a third.',
      severity: 'error',
      from: { pathNot: TESTS },
      to: { circular: true },
    },
    {
      name: 'protocol-is-pure',
      comment: 'Rules of the RFCs: zod and Node only.',
      severity: 'error',
      from: { path: room('protocol'), pathNot: TESTS },
      to: { pathNot: [room('protocol'), '^node_modules/(zod|ipaddr\\.js)/', '^(node:)?(crypto|buffer|url|net)$'] },
    },
    {
      name: 'oauth-and-mcp-never-meet',
      comment: 'They meet in TokenVerifier: MCP works the same with tokens of any server.',
      severity: 'error',
      from: { path: room('oauth') },
      to: { path: room('mcp') },
    },
    {
      name: 'mcp-and-oauth-never-meet',
      severity: 'error',
      from: { path: room('mcp') },
      to: { path: room('oauth') },
    },
    {
      name: 'engine-stays-inside',
      comment: 'The library under the authorization server can be replaced within one folder.',
      severity: 'error',
      from: { pathNot: [room('oauth'), TESTS] },
      to: { path: `${room('oauth')}engine/` },
    },
    {
      name: 'oidc-provider-only-in-engine',
      severity: 'error',
      from: { pathNot: [`${room('oauth')}engine/`, TESTS] },
      to: { path: '^node_modules/oidc-provider/' },
    },
    {
      name: 'providers-do-not-know-each-other',
      comment:
        'Deleting a provider is its folder, one import, one list entry. authkit is a preset of remote and lives with it.',
      severity: 'error',
      from: { path: '^src/providers/([^/]+)/', pathNot: TESTS },
      to: { path: '^src/providers/([^/]+)/', pathNot: '^src/providers/$1/' },
    },
    {
      name: 'only-providers-imports-providers',
      severity: 'error',
      from: { pathNot: [room('providers'), '^src/(index|testing)\\.ts$', TESTS, '^examples/'] },
      to: { path: '^src/providers/[^/]+/' },
    },
    {
      name: 'typeorm-only-in-stores',
      comment: 'Entities, stores and persistence; controllers and tools never see it.',
      severity: 'error',
      from: {
        pathNot: room('persistence'),
        path: [
          '\\.(controller|guard|filter|page|module)\\.ts$',
          room('mcp'),
          room('tools'),
          room('ops'),
          room('protocol'),
        ],
      },
      to: { path: '^node_modules/typeorm/' },
    },
    {
      name: 'tools-see-a-principal',
      comment: 'Never a request, a token or a database.',
      severity: 'error',
      from: { path: room('tools'), pathNot: TESTS },
      to: { path: [room('oauth'), room('access'), room('persistence'), room('admin'), '^node_modules/fastify/'] },
    },
    {
      name: 'admin-has-no-logic',
      comment: 'REST over the stores of the nouns; the engine is not its business.',
      severity: 'error',
      from: { path: room('admin') },
      to: { path: [`${room('oauth')}engine/`, '^node_modules/typeorm/'] },
    },
    {
      name: 'one-door-out',
      comment: 'Time-outs, size caps and the guard for addresses of strangers are in outbound/ (security.md 46).',
      severity: 'error',
      from: { path: '^src/', pathNot: [room('outbound'), TESTS] },
      to: { path: '^node_modules/(undici|axios|got|node-fetch|superagent|request)/' },
    },
    {
      name: 'nothing-imports-main',
      severity: 'error',
      from: {},
      to: { path: '^src/(main|index)\\.ts$', pathNot: '^src/index\\.ts$' },
    },
    {
      name: 'no-test-in-production',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: TESTS },
      to: { path: ['\\.spec\\.ts$', '^test/'] },
    },
    {
      name: 'declared-dependencies',
      comment: 'What production code imports is a dependency, not a development one.',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: TESTS },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|node_modules/.*/node_modules)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.json'],
    },
  },
};
