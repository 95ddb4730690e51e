"""What tests share: private servers, a stack of real processes, lives of payouts to deliver."""
