/** What a client said of itself. */
export interface ClientTraits {
  readonly clientId?: string | null | undefined;
  readonly name?: string | null | undefined;
  readonly redirectUris?: readonly string[] | undefined;
  readonly userAgent?: string | null | undefined;
}

interface KnownClient {
  readonly label: string;
  /** Matches a redirect URI or a metadata document's URL. */
  readonly address?: RegExp;
  readonly name?: RegExp;
  readonly userAgent?: RegExp;
}

/** More specific ones first. */
const KNOWN: readonly KnownClient[] = [
  {
    label: 'Claude Code',
    address: /^https:\/\/claude\.(ai|com)\/oauth\/claude-code/,
    name: /^claude code/i,
    userAgent: /^claude-code\//i,
  },
  {
    label: 'Claude',
    address: /^https:\/\/claude\.(ai|com)\/api\/(mcp|organizations)\//,
    name: /^claude(ai|\.ai)?$/i,
    userAgent: /^claude-user/i,
  },
  {
    label: 'ChatGPT',
    address: /^https:\/\/chatgpt\.com\/(connector|oauth|aip)/,
    name: /^chatgpt/i,
    userAgent: /^(chatgpt|openai-mcp)/i,
  },
  { label: 'Codex', name: /^codex/i, userAgent: /^codex[_-]/i },
  { label: 'Cursor', address: /^cursor:|^https:\/\/(www\.)?cursor\.com\//, name: /^cursor/i, userAgent: /^cursor\//i },
  {
    label: 'VS Code',
    address: /^vscode(-insiders)?:|^https:\/\/(insiders\.)?vscode\.dev\/redirect/,
    name: /^visual studio code/i,
  },
  { label: 'GitHub Copilot CLI', name: /copilot/i, userAgent: /copilot/i },
  { label: 'Gemini CLI', name: /^gemini/i, userAgent: /^gemini/i },
  { label: 'Windsurf', address: /^windsurf:/, name: /windsurf/i },
  { label: 'Zed', address: /^zed:/, name: /^zed\b/i },
  { label: 'Goose', name: /^goose/i, userAgent: /^goose/i },
  { label: 'LibreChat', name: /^librechat/i },
  { label: 'n8n', name: /^n8n/i },
  { label: 'MCP Inspector', address: /^http:\/\/(localhost|127\.0\.0\.1):6274\//, name: /^mcp inspector/i },
  { label: 'mcp-remote', name: /^(mcp-remote|mcp cli proxy)/i },
  { label: 'Gatehouse command line', name: /^gatehouse/i, userAgent: /^gatehouse/i },
];

/** Which well-known application this seems to be, for the eyes of an administrator only; null: not recognised. It proves nothing: anybody can claim a name. */
export function recogniseClient({ clientId, name, redirectUris = [], userAgent }: ClientTraits): string | null {
  const addresses = [...(clientId ? [clientId] : []), ...redirectUris];
  const byAddress = KNOWN.find(({ address }) => address && addresses.some((one) => address.test(one)));
  const byName = name ? KNOWN.find((known) => known.name?.test(name)) : undefined;
  const byAgent = userAgent ? KNOWN.find((known) => known.userAgent?.test(userAgent)) : undefined;
  return (byAddress ?? byName ?? byAgent)?.label ?? null;
}
