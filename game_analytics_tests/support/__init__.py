"""What tests share: logs, lakes, samples, servers, harnesses."""
