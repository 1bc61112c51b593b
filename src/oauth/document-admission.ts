import { Inject, Injectable } from '@nestjs/common';
import { Settings } from '../config/settings.js';
import { DuplicateRow } from '../persistence/faults.js';
import { isDocumentUrl, isFault, readClientMetadata } from '../protocol/client-metadata.js';
import { CimdDocuments, DocumentUnavailable } from './cimd-documents.js';
import type { ClientRow } from './client.entity.js';
import { type ChangedBy, Clients } from './clients.js';

/** Why a document's Client was not let in; safe to show an administrator. */
export interface NotAdmitted {
  /** `known`: it is a Client already. `off`: documents are not fetched here. `unusable`: `why` says what is wrong with address or document. */
  readonly kind: 'known' | 'off' | 'unusable';
  readonly why: string;
}

/** Lets in Clients that describe themselves by a metadata document, before they come: the way in while registration is closed. */
@Injectable()
export class DocumentAdmission {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(CimdDocuments) private readonly documents: CimdDocuments,
    @Inject(Clients) private readonly clients: Clients,
  ) {}

  /** Reads the document now, so that an administrator sees whom they let in. @throws DatabaseUnavailable */
  async admit(
    url: string,
    by: ChangedBy & { note: string | null; allowedScopes: string[] | null },
  ): Promise<ClientRow | NotAdmitted> {
    if (!this.settings.values.clientIdDocuments)
      return { kind: 'off', why: 'GATEHOUSE_CLIENT_ID_DOCUMENTS is off, so no client can present a metadata document' };
    if (!isDocumentUrl(url) || new URL(url).origin === this.settings.publicUrl)
      return { kind: 'unusable', why: 'is not the address of a metadata document: https, with a path' };
    if (await this.clients.find(url)) return KNOWN;
    try {
      const { body } = await this.documents.get(url, 'document');
      const metadata = readClientMetadata(JSON.parse(body));
      if (isFault(metadata)) return { kind: 'unusable', why: `the document is not valid: ${metadata.description}` };
      return (await this.clients.create(metadata, { ...by, id: url })).row;
    } catch (error) {
      if (error instanceof DocumentUnavailable)
        return { kind: 'unusable', why: `the document could not be used: ${error.fault.why}` };
      if (error instanceof DuplicateRow) return KNOWN;
      throw error;
    }
  }
}

const KNOWN: NotAdmitted = { kind: 'known', why: 'this client is known already: change its status instead' };
