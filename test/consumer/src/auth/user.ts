export interface User {
  id: number;
  name: string;
}

export const ADA: User = { id: 1, name: 'Ada' };
