import { PublishError } from './publish-error';

/**
 * Loads an optional peer dependency when it is needed.
 * @throws PublishError PACKAGE_MISSING with the command that installs it.
 */
export async function importPackage<T>(name: string, purpose: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isMissing = (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') && message.includes(name);
    if (!isMissing) throw error;
    throw new PublishError('PACKAGE_MISSING', name, `is needed ${purpose}: npm install --ignore-scripts ${name}`);
  }
}
