/** Writes the client into `folder`, which is emptied. */
export declare function writeAdminClient(folder: string): Promise<void>;
