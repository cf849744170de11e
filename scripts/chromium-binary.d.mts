export function chromiumBinary(env?: NodeJS.ProcessEnv): string | undefined;
