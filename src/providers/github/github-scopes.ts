/**
 * Scopes that GitHub folds away when a wider one is granted: its answer names the wider one only
 * (docs.github.com › Scopes for OAuth apps › Normalized scopes).
 */
const NARROWER: Readonly<Record<string, readonly string[]>> = {
  repo: ['repo:status', 'repo_deployment', 'public_repo', 'repo:invite', 'security_events'],
  user: ['read:user', 'user:email', 'user:follow'],
  project: ['read:project'],
  audit_log: ['read:audit_log'],
  codespace: ['codespace:secrets'],
  copilot: ['manage_billing:copilot'],
  'admin:org': ['manage_runners:org'],
  'admin:enterprise': ['manage_runners:enterprise', 'manage_billing:enterprise', 'read:enterprise', 'scim:enterprise'],
};

/** What this scope of GitHub brings along, directly: `admin:` stands for `write:` of the same thing, that for `read:`. */
export function narrowerScopes(scope: string): readonly string[] {
  const thing = /^(admin|write):(.+)$/.exec(scope);
  const named = NARROWER[scope] ?? [];
  return thing ? [...named, `${thing[1] === 'admin' ? 'write' : 'read'}:${thing[2]}`] : named;
}
